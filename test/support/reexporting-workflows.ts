/** A user's workflows that bring ours along by themselves. */
export * from 'aip-temporal/workflows';

export async function reexportingWorkflow(): Promise<void> {}
