import type { ConversationSnapshot } from '../../protocol/conversation.js';
import type { ParameterInputs, ParameterValue } from '../../protocol/exchange.js';
import { FAILURE_TYPES } from '../../protocol/failures.js';
import { jsonBytes } from '../../protocol/json-size.js';
import type { JsonObject, JsonTemplate, PlanConversation } from '../../protocol/plan.js';
import { Conversation, type ConversationSettings } from '../conversation-in-code.js';
import { renderJson, renderText } from './expressions.js';
import type { Scope } from './scope.js';
import { StepError } from './step-error.js';

/** A conversation as it is carried along: with what it was opened, its session, and the tail of what was said. */
export interface ConversationMemory {
  settings: ConversationSettings;
  snapshot: ConversationSnapshot;
}

/** JSON bytes of what all conversations of a plan carry into the next run of what was said: for a new session, when one expires. */
const TRANSCRIPT_BYTES = { all: 128 * 1024, each: 16 * 1024 } as const;

/** The conversations of a plan: opened when they are first asked, with the agent and the title that their templates then give. */
export class PlanConversations {
  readonly #open = new Map<string, { settings: ConversationSettings; conversation: Conversation }>();
  readonly #opening = new Map<string, Promise<Conversation>>();

  constructor(
    private readonly agentRid: string | undefined,
    memory: Record<string, ConversationMemory> = {},
  ) {
    for (const [key, { settings, snapshot }] of Object.entries(memory)) {
      this.#open.set(key, { settings, conversation: Conversation.open(settings, snapshot) });
    }
  }

  /** The conversation of that name which a scope sees. @throws StepError Where its agent or a template is at fault. */
  async of(name: string, scope: Scope): Promise<Conversation> {
    const found = scope.conversation(name);
    if (found === undefined) throw StepError.of(FAILURE_TYPES.invalidInput, `The plan has no conversation ${name}`);
    const { owner, declared } = found;
    const key = `${owner.key}${name}`;
    const open = this.#open.get(key);
    if (open !== undefined) return open.conversation;
    let opening = this.#opening.get(key);
    if (opening === undefined) {
      opening = this.#openNow(key, declared, owner).finally(() => this.#opening.delete(key));
      this.#opening.set(key, opening);
    }
    return opening;
  }

  /** Of an item of a `forEach` that has ended, or of all of a step. */
  drop(key: string): void {
    for (const [name, { conversation }] of this.#open) {
      if (!name.startsWith(key)) continue;
      this.#open.delete(name);
      void conversation.close();
    }
  }

  /** Only while nothing is asked. */
  snapshot(): Record<string, ConversationMemory> {
    const most = Math.min(TRANSCRIPT_BYTES.each, TRANSCRIPT_BYTES.all / Math.max(1, this.#open.size));
    return Object.fromEntries(
      [...this.#open].map(([key, { settings, conversation }]) => [
        key,
        { settings, snapshot: shortened(conversation.snapshot(), most) },
      ]),
    );
  }

  async #openNow(key: string, plan: PlanConversation, scope: Scope): Promise<Conversation> {
    const { agent, agentVersion, title, parameters, ...options } = plan;
    const context = scope.context();
    const agentRid = agent === undefined ? this.agentRid : await renderText(agent, context);
    if (agentRid === undefined || agentRid === '') {
      throw StepError.of(
        FAILURE_TYPES.invalidInput,
        'The conversation has no agent: name one in the plan (conversations), or start the plan with one (--agent)',
      );
    }
    const settings: ConversationSettings = {
      ...options,
      agentRid,
      name: key,
      ...(agentVersion !== undefined && { agentVersion: await renderText(agentVersion, context) }),
      ...(title !== undefined && { title: await renderText(title, context) }),
      ...(parameters !== undefined && { parameterInputs: await renderParameters(parameters, context) }),
    };
    const conversation = Conversation.open(settings);
    this.#open.set(key, { settings, conversation });
    return conversation;
  }
}

/** Values of application variables: a text is a parameter of type `string`, all else stands as the API has it. */
export async function renderParameters(
  parameters: { [id: string]: JsonTemplate },
  context: JsonObject,
): Promise<ParameterInputs> {
  const rendered: ParameterInputs = {};
  for (const [id, template] of Object.entries(parameters)) {
    const value = await renderJson(template, context);
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && typeof value['type'] === 'string') {
      rendered[id] = value as unknown as ParameterValue;
    } else {
      rendered[id] = { type: 'string', value: typeof value === 'string' ? value : JSON.stringify(value) };
    }
  }
  return rendered;
}

/** With the newest exchanges that fit. Ids of messages are made anew for each step: none comes again. */
function shortened(snapshot: ConversationSnapshot, bytes: number): ConversationSnapshot {
  const outcomes = [...snapshot.outcomes];
  while (outcomes.length > 0 && jsonBytes(outcomes) > bytes) outcomes.shift();
  return { ...snapshot, outcomes, forgotten: [], rejected: [] };
}
