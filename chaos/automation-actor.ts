import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError } from '@temporalio/client';
import { readPlan } from '../src/plans/index.js';
import { type AutomationInput, type AutomationResult, automationWorkflowId } from '../src/protocol/automation.js';
import type { JsonObject, Plan } from '../src/protocol/plan.js';
import { WORKFLOW_TYPES } from '../src/protocol/workflow-names.js';
import { insist } from './clock.js';
import type { Stage } from './conversation-actor.js';
import { CALL_TIMEOUT_MS, questionText } from './conversation-plan.js';
import type { ChaosOptions } from './options.js';
import type { Random } from './random.js';

/** Two questions of one conversation, the second after a wait. */
export interface ChaosItem extends JsonObject {
  one: string;
  two: string;
}

/** All that will happen in one automation, if nothing else disturbs it. */
export interface AutomationPlan {
  id: string;
  plan: Plan;
  items: ChaosItem[];
  /** It rolls over so often; absent: when Temporal suggests it. */
  maxStepsPerRun?: number;
  /** It is cancelled then; absent: never (milliseconds). */
  cancelAfterMs?: number;
  isBlocking: boolean;
}

/** What a step of an item resulted in. */
export interface StepResult {
  /** `skipped`: it failed, and the plan went on. */
  status: 'answered' | 'interrupted' | 'skipped';
  answer?: string;
}

/** What came of an automation. */
export interface AutomationStory {
  plan: AutomationPlan;
  /** By item; absent when it was cancelled. */
  results?: { one: StepResult; two: StepResult }[];
  errors: string[];
}

const text = (concurrency: number, mode: 'streaming' | 'blocking'): string => `
name: chaos
inputs: { items: array }
steps:
  - id: each
    forEach: inputs.items
    concurrency: ${concurrency}
    conversations: { own: { mode: ${mode}, exchangeTimeout: 5m, callTimeout: ${CALL_TIMEOUT_MS}ms } }
    do:
      - { id: one, ask: '{{ item.one }}', in: own, onError: skip }
      - wait: 300ms
      - { id: two, ask: '{{ item.two }}', in: own, onError: skip }
    collect: "{ 'one': steps.one, 'two': steps.two }"
output: "{ 'results': steps.each.results }"
`;

/** The plan of automation number `n`, which hangs on the seed and `n` alone. */
export function planAutomation(
  seeded: Random,
  n: number,
  { mode, items }: Pick<ChaosOptions, 'mode' | 'items'>,
): AutomationPlan {
  const random = seeded.fork(`automation ${n}`);
  const isBlocking = mode === 'blocking' || (mode === 'mixed' && random.chance(0.2));
  const maxStepsPerRun = random.pick([undefined, 3, 7, 20]);
  const { plan } = readPlan(text(random.whole(1, 6), isBlocking ? 'blocking' : 'streaming'), { file: 'chaos.yaml' });
  return {
    id: automationWorkflowId(`chaos-${n}`),
    plan,
    items: Array.from({ length: items }, (_, item) => ({
      one: questionText(random, `a ${n}-${item}-1`),
      two: questionText(random, `a ${n}-${item}-2`),
    })),
    ...(maxStepsPerRun !== undefined && { maxStepsPerRun }),
    ...(random.chance(0.25) && { cancelAfterMs: random.whole(1_000, 10_000) }),
    isBlocking,
  };
}

/** Starts an automation, waits for its end, and cancels it in between as planned. */
export async function playAutomation(
  { aip, simulator, clock, done }: Stage,
  plan: AutomationPlan,
): Promise<AutomationStory> {
  const story: AutomationStory = { plan, errors: [] };
  const { id, items, maxStepsPerRun, cancelAfterMs } = plan;
  const { workflow } = aip.client;
  const input: AutomationInput = {
    plan: plan.plan,
    inputs: { items },
    agentRid: simulator.agentRid,
    ...(maxStepsPerRun !== undefined && { maxStepsPerRun }),
  };
  const start = async () => {
    try {
      const options = { workflowId: id, taskQueue: aip.taskQueue, args: [input] as [AutomationInput] };
      await workflow.start(WORKFLOW_TYPES.automation, { ...options, workflowIdReusePolicy: 'REJECT_DUPLICATE' });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  };
  try {
    await insist('start the automation', start, () => false);
    const handle = workflow.getHandle<() => Promise<AutomationResult>>(id);
    const ended = new AbortController();
    const cancelling = async () => {
      if (cancelAfterMs === undefined || !(await clock.wait(cancelAfterMs)) || ended.signal.aborted) return;
      await insist(
        'cancel the automation',
        () => handle.cancel(),
        () => ended.signal.aborted,
      ).catch(() => undefined);
      done.automationCancels++;
    };
    const disturbed = cancelling();
    const isEnd = (error: unknown) => error instanceof WorkflowFailedError;
    const result = await insist('wait for the automation', () => handle.result(), isEnd).catch((error: unknown) => {
      if (!isEnd(error) || cancelAfterMs === undefined) throw error;
    });
    ended.abort();
    await disturbed;
    const output = result?.output as { results: typeof story.results } | undefined;
    if (output?.results !== undefined) story.results = output.results;
  } catch (error) {
    story.errors.push(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  }
  return story;
}
