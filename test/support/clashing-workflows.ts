/** A user's workflows, one of which has a name of ours. */
export async function batchWorkflow(): Promise<void> {}
