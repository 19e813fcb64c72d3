/** Plans as tests write them, and runs of them. */
import { randomUUID } from 'node:crypto';
import { isGrpcServiceError, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type {
  ApprovalAnswer,
  AutomationInput,
  AutomationResult,
  AutomationStatus,
  DecideInput,
  Decision,
  StepStatus,
} from '../../src/protocol/automation.js';
import type {
  ApproveStep,
  AskStep,
  ForEachStep,
  IfStep,
  JsonObject,
  JsonValue,
  ParallelStep,
  Plan,
  PlanStep,
  SetStep,
  WaitStep,
} from '../../src/protocol/plan.js';
import { type Rig, until } from './rig.js';

/** A plan with what tests seldom care about filled in. */
export function planOf(steps: PlanStep[], rest: Partial<Plan> = {}): Plan {
  return { name: 'test', inputs: {}, conversations: { main: {} }, maxSteps: 10_000, ...rest, steps };
}

type Rest<Step extends PlanStep, Given extends keyof Step> = Partial<Omit<Step, Given | 'kind'>>;

export const ask = (text: string, rest: Rest<AskStep, 'text'> = {}): AskStep => ({
  ...{ kind: 'ask', conversation: 'main', text },
  ...rest,
});

export const set = (values: JsonObject, rest: Rest<SetStep, 'set'> = {}): SetStep => ({
  ...{ kind: 'set', set: values },
  ...rest,
});

export const approve = (message: string, rest: Rest<ApproveStep, 'message'> = {}): ApproveStep => ({
  ...{ kind: 'approve', message, continueWhenRejected: false },
  ...rest,
});

export const wait = (how: number | Exclude<WaitStep['wait'], { forMs: number }>): WaitStep => ({
  kind: 'wait',
  wait: typeof how === 'number' ? { forMs: how } : how,
});

export const forEach = (
  items: string | JsonValue[],
  steps: PlanStep[],
  rest: Rest<ForEachStep, 'items' | 'do'> = {},
): ForEachStep => ({
  ...{ kind: 'forEach', items, as: 'item', concurrency: 1, conversations: {}, onItemError: 'stop', do: steps },
  ...rest,
});

export const when = (condition: string, then: PlanStep[], otherwise: PlanStep[] = []): IfStep => ({
  ...{ kind: 'if', if: condition, then, else: otherwise },
});

export const parallel = (branches: Record<string, PlanStep[]>, rest: Rest<ParallelStep, 'branches'> = {}) => ({
  ...{ kind: 'parallel' as const, branches: Object.entries(branches).map(([name, steps]) => ({ name, do: steps })) },
  ...rest,
});

/** No more than one failure, and then that. */
export const onError = (then: NonNullable<PlanStep['onError']>['then'], retries = 0, delayMs = 10) => ({
  onError: { retries, delayMs, backoff: 1, then },
});

/** A run of a plan, seen from outside. */
export interface RunningPlan {
  readonly handle: WorkflowHandle;
  readonly id: string;
  status(): Promise<AutomationStatus>;
  /** Waits until so many approvals wait. */
  approvals(count: number): Promise<AutomationStatus['approvals']>;
  decide(input: DecideInput & { decision: Decision }): Promise<ApprovalAnswer>;
  result(): Promise<AutomationResult>;
  /** What it came to. */
  output(): Promise<JsonValue | undefined>;
  /** Why it failed. */
  failure(): Promise<{ type: string | undefined; message: string }>;
  /** Whether it was cancelled; waits for its end. */
  isCancelled(): Promise<boolean>;
}

export type RunOptions = Partial<Omit<AutomationInput, 'plan'>>;

/** Starts a plan with the rig's agent. */
export async function run(rig: Rig, plan: Plan, options: RunOptions = {}): Promise<RunningPlan> {
  const { agentRid } = rig.simulator;
  const handle = await rig.client.client.workflow.start('automationWorkflow', {
    workflowId: `automation/${randomUUID()}`,
    taskQueue: rig.taskQueue,
    args: [{ plan, inputs: {}, agentRid, ...options } satisfies AutomationInput],
    workflowExecutionTimeout: '2 minutes',
  });
  const running: RunningPlan = {
    handle,
    id: handle.workflowId,
    status: () => handle.query<AutomationStatus>('automationStatus'),
    async approvals(count) {
      let open: AutomationStatus['approvals'] = [];
      await until(`${count} approvals wait`, async () => {
        open = (await running.status()).approvals;
        return open.length === count;
      });
      return open;
    },
    async decide(input) {
      for (;;) {
        try {
          return await handle.executeUpdate<ApprovalAnswer, [typeof input]>('decide', { args: [input] });
        } catch (error) {
          // What came just when a run ended to go on in the next was not taken: the server says so, and it is told again.
          if (!isGrpcServiceError((error as Error).cause)) throw error;
        }
      }
    },
    result: () => handle.result() as Promise<AutomationResult>,
    output: async () => (await running.result()).output,
    async failure() {
      const error: unknown = await handle.result().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (!(error instanceof WorkflowFailedError)) throw new Error('It did not fail', { cause: error });
      const { cause } = error;
      return { type: (cause as { type?: string }).type ?? cause?.name, message: cause?.message ?? '' };
    },
    async isCancelled() {
      await handle.result().catch(() => undefined);
      return (await handle.describe()).status.name === 'CANCELLED';
    },
  };
  return running;
}

/** What a plan comes to. */
export const outputOf = async (rig: Rig, plan: Plan, options?: RunOptions) => (await run(rig, plan, options)).output();

/** Why a plan fails. */
export const failureOf = async (rig: Rig, plan: Plan, options?: RunOptions) =>
  (await run(rig, plan, options)).failure();

/** All steps of a plan's tree by path. */
export function stepsByPath({ steps }: Pick<AutomationStatus, 'steps'>): Record<string, StepStatus> {
  const all = (some: readonly StepStatus[]): StepStatus[] =>
    some.flatMap((step) => [step, ...(step.children ?? []).flatMap(({ steps: inner }) => all(inner))]);
  return Object.fromEntries(all(steps).map((step) => [step.path, step]));
}

/** What the agent was asked, in the order of the ends, as far as it holds the words. */
export const askedOf = ({ simulator }: Rig, words: string) =>
  simulator.ledger().exchanges.filter(({ text }) => text.includes(words));

/** What the agent is being asked now, as far as it holds the words. */
export const runningOf = ({ simulator }: Rig, words: string) =>
  simulator.ledger().running.filter(({ text }) => text.includes(words));

/** Keeps the agent from taking questions that hold the words. Told to, it takes them: soon, as they are asked again and again. */
export function holdBack({ simulator }: Rig, words: string): () => void {
  const fault = { kind: 'status' as const, status: 502 };
  simulator.setFaults([{ operation: 'streamingContinue', match: { textIncludes: words }, fault }]);
  return () => simulator.setFaults([]);
}

/** Most exchanges at once among those given. */
export function mostAtOnce(exchanges: readonly { startedAt: string; endedAt?: string }[]): number {
  return Math.max(
    0,
    ...exchanges.map(
      ({ startedAt: now }) =>
        exchanges.filter(({ startedAt, endedAt }) => startedAt <= now && (endedAt === undefined || endedAt > now))
          .length,
    ),
  );
}
