import { jsonBytes } from '../protocol/json-size.js';
import {
  blocksOf,
  type JsonObject,
  MAIN_CONVERSATION,
  type Plan,
  PLAN_LIMITS,
  type PlanConversation,
  type PlanStep,
} from '../protocol/plan.js';
import { InvalidCallError } from './errors.js';
import { idProblem } from './id-check.js';

/** What is started: a plan with its inputs, by whichever way. */
export interface CheckedStart {
  plan: Plan;
  inputs: JsonObject;
  agentRid?: string;
}

/** Sees that a plan can be started so. @throws InvalidCallError */
export function checkAutomation({ plan, inputs, agentRid }: CheckedStart): void {
  const what = `Cannot start plan ${plan.name}`;
  const planBytes = jsonBytes(plan);
  if (planBytes > PLAN_LIMITS.planBytes) {
    throw new InvalidCallError(
      `${what}: it has ${planBytes} bytes of JSON; give at most ${PLAN_LIMITS.planBytes}, with what is long as inputs or at the agent`,
    );
  }
  const inputBytes = jsonBytes(inputs);
  if (inputBytes > PLAN_LIMITS.inputBytes) {
    throw new InvalidCallError(
      `${what}: its inputs have ${inputBytes} bytes of JSON; give at most ${PLAN_LIMITS.inputBytes}, or put many rows through \`batch run\``,
    );
  }
  const asking = agentRid === undefined ? stepWithoutAgent(plan.steps, 'steps', plan.conversations) : undefined;
  if (asking !== undefined) {
    throw new InvalidCallError(
      `${what} without an agent: ${asking} names none; give one (--agent, AIP_AGENT_RID), or name it in the plan`,
    );
  }
}

/** @throws InvalidCallError */
export function checkAutomationId(automationId: string, what = 'automation'): void {
  const isPrefixed = automationId.startsWith('automation/');
  const problem = isPrefixed
    ? 'it begins with automation/, as the workflow’s does by itself; leave that out'
    : idProblem(automationId);
  if (problem !== undefined) throw new InvalidCallError(`Cannot use "${automationId}" as the ${what}'s id: ${problem}`);
}

/** The first step that asks an agent where none is named: `steps[2].do[0]`. */
function stepWithoutAgent(
  steps: readonly PlanStep[],
  path: string,
  conversations: Readonly<Record<string, PlanConversation>>,
): string | undefined {
  for (const [index, step] of steps.entries()) {
    const at = `${path}[${index}]`;
    if (step.kind === 'batch' && step.agent === undefined) return at;
    if (step.kind === 'ask' || step.kind === 'askJson') {
      const name = step.conversation;
      if (conversations[name]?.agent === undefined) {
        return name === MAIN_CONVERSATION ? at : `conversation ${name} of ${at}`;
      }
    }
    const known = step.kind === 'forEach' ? { ...conversations, ...step.conversations } : conversations;
    for (const block of blocksOf(step)) {
      const found = stepWithoutAgent(block.steps, `${at}.${block.key}`, known);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
