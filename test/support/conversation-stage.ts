import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import { ConversationEndedError, exchangeProgress } from '../../src/client/index.js';
import type { AipClient, ConversationHandle, ConversationSettings, PendingActivity } from '../../src/client/index.js';
import { exchangeActivityId, type RecordedExchange } from '../../src/protocol/conversation.js';
import type { ExchangeOutcome, ExchangeStatus } from '../../src/protocol/exchange.js';
import type { LedgerExchange, Simulator } from '../../src/simulator/index.js';
import { checkConversation, nothingRuns, outcomesOf, received, untilAsked } from './conversation-check.js';

/** How a message that something was done about must stand in the end. */
export interface Ending {
  /** Its recorded outcome: one of these. */
  recorded: readonly ExchangeStatus[];
  /** What the agent tells of all its sends, in order: one of these. */
  atAgent: readonly string[];
  /** Cancelled, it cannot be stopped, and its outcome says so. Default false. */
  mayStillRun?: boolean;
  /** Some of the answer's text is kept. */
  hasText?: boolean;
}

/** How the run of a conversation ends by what was done. */
export type RunEnd = 'goesOn' | 'cancelled' | 'terminated';

/** A conversation to which something is done, with its messages. */
export class ConversationStage {
  readonly mark = randomUUID();
  readonly handle: ConversationHandle;
  readonly accepted: string[] = [];
  /** The message that it is done about. */
  subject = '';
  readonly #texts = new Map<string, string>();
  readonly #told = new Map<string, Promise<ExchangeOutcome | Error>>();

  constructor(
    readonly rig: { simulator: Simulator; client: AipClient },
    settings: ConversationSettings = {},
  ) {
    this.handle = rig.client.conversation(`test/${this.mark}`, settings);
  }

  /** Asks, and goes on as soon as the message is accepted. It is the subject from now on. Returns its id. */
  async ask(text: string, whenBusy: 'enqueue' | 'interrupt' | 'rollback' = 'enqueue'): Promise<string> {
    const messageId = randomUUID();
    const marked = `${text} ${this.mark} ${this.accepted.length}`;
    await new Promise<void>((resolve, reject) => {
      const outcome = this.handle.ask({ messageId, text: marked, whenBusy }, { onAccepted: resolve });
      this.#told.set(
        messageId,
        outcome.catch((error: unknown) => error as Error),
      );
      outcome.catch(reject);
    });
    return this.#note(messageId, marked);
  }

  /** The same by submit, which needs no worker. */
  async submit(text: string, whenBusy: 'enqueue' | 'interrupt' | 'rollback' = 'enqueue'): Promise<string> {
    const messageId = randomUUID();
    const marked = `${text} ${this.mark} ${this.accepted.length}`;
    await this.handle.submit({ messageId, text: marked, whenBusy });
    return this.#note(messageId, marked);
  }

  #note(messageId: string, text: string): string {
    this.accepted.push(messageId);
    this.#texts.set(messageId, text);
    this.subject = messageId;
    return messageId;
  }

  /** All sends of a message as the agent tells them. Default: of the subject. */
  sends(messageId = this.subject): LedgerExchange[] {
    const text = this.#texts.get(messageId);
    return received(this.rig.simulator, this.mark).filter((exchange) => exchange.text === text);
  }

  /** `answering`, `cancelled, landed`, …: how the sends of a message stand at the agent. */
  atAgent(messageId = this.subject): string {
    return this.sends(messageId)
      .map(({ status }) => status)
      .join(', ');
  }

  /** Waits until the subject stands so at the agent. */
  async untilAtAgent(standing: string): Promise<void> {
    await untilAsked(`it stands as ${standing} at the agent`, () => this.atAgent() === standing);
  }

  /** Waits until the activity of the subject's exchange is as wanted. */
  async untilActivity(what: string, isSo: (activity: PendingActivity) => boolean): Promise<void> {
    const activityId = this.#activityId;
    await untilAsked(`its activity ${what}`, async () => {
      const { pendingActivities } = await this.handle.describe();
      const activity = pendingActivities.find((pending) => pending.activityId === activityId);
      return activity !== undefined && isSo(activity);
    });
  }

  /** Waits until the conversation has seen some text of the subject's answer. */
  async untilText(): Promise<void> {
    await this.untilActivity('has seen text', (activity) => (exchangeProgress(activity)?.text ?? '') !== '');
  }

  /** What the Temporal UI's buttons at the subject's activity do. */
  async press(button: 'pauseActivity' | 'unpauseActivity' | 'resetActivity'): Promise<void> {
    const { workflowService, options } = this.rig.client.client;
    const id = this.#activityId;
    const subject = { namespace: options.namespace, execution: { workflowId: this.handle.id }, id };
    switch (button) {
      case 'pauseActivity':
        return void (await workflowService.pauseActivity(subject));
      case 'unpauseActivity':
        return void (await workflowService.unpauseActivity(subject));
      case 'resetActivity':
        return void (await workflowService.resetActivity(subject));
    }
  }

  /**
   * Checks the end of it, which comes soon: nothing runs, the subject stands as it should, all that was accepted has one outcome
   * that its sender was told and the session's content confirms, and the conversation goes on if nobody ended it.
   */
  async check(ending: Ending, run: RunEnd): Promise<readonly RecordedExchange[]> {
    const { simulator } = this.rig;
    if (run === 'terminated') {
      await nothingRuns(simulator, this.mark);
      expect((await this.handle.describe()).status).toBe('terminated');
      for (const told of this.#told.values()) {
        const heard = await told;
        if (heard instanceof Error) expect(heard).toBeInstanceOf(ConversationEndedError);
      }
      expect(ending.atAgent).toContain(this.atAgent());
      return [];
    }
    if (run === 'cancelled') await expect(this.handle.result()).rejects.toThrow(ConversationEndedError);
    const [outcome] = await outcomesOf(this.handle, [this.subject]);
    expect(ending.recorded).toContain(outcome?.status);
    expect(outcome?.mayStillRun ?? false).toBe(outcome?.status === 'cancelled' && ending.mayStillRun === true);
    if (ending.hasText === true) expect(outcome?.result?.agentMarkdownResponse).not.toBe('');
    if (run === 'goesOn') await this.#endThoseBefore();
    const recorded = await checkConversation(simulator, this.handle, this.mark, this.accepted);
    expect(ending.atAgent).toContain(this.atAgent());
    const outcomes = new Map(recorded.map((exchange) => [exchange.outcome.messageId, exchange.outcome]));
    for (const [messageId, told] of this.#told) expect(await told).toEqual(outcomes.get(messageId));
    if (run === 'goesOn') {
      expect(await this.handle.ask(`Still usable? ${this.mark}`)).toMatchObject({ status: 'answered' });
      await this.handle.close();
    }
    return recorded;
  }

  get #activityId(): string {
    return exchangeActivityId(this.accepted.indexOf(this.subject));
  }

  /** What it waited behind would take a minute. */
  async #endThoseBefore(): Promise<void> {
    const before = this.accepted.slice(0, this.accepted.indexOf(this.subject));
    for (const messageId of before) await this.handle.cancelExchange({ messageId });
  }
}
