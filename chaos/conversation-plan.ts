import type { ConversationSettings } from '../src/client/index.js';
import type { WhenBusy } from '../src/protocol/conversation.js';
import type { ExchangeMode } from '../src/protocol/exchange.js';
import type { ChaosOptions } from './options.js';
import type { Random } from './random.js';

/** A message that a sender will send. */
export interface PlannedMessage {
  messageId: string;
  /** Ends in a marker of its own, by which the ledger's exchanges are known. */
  text: string;
  /** `twice`: by update and by signal at once, under the same id. */
  via: 'ask' | 'submit' | 'twice';
  whenBusy: WhenBusy;
  mode: ExchangeMode;
  /** Pause before it (milliseconds). */
  afterMs: number;
}

/** Something that is done to a conversation while its senders send. */
export interface PlannedDeed {
  kind:
    | 'cancelExchange'
    | 'cancelWithResponse'
    | 'pause'
    | 'reset'
    | 'expire'
    | 'close'
    | 'cancelConversation'
    | 'terminate';
  /** Since the deed before (milliseconds). */
  afterMs: number;
  /** How long a pause lasts (milliseconds). */
  forMs: number;
}

/** All that will happen in one conversation, if nothing else disturbs it. */
export interface ConversationPlan {
  id: string;
  settings: ConversationSettings;
  /** Each sends its messages one after the other. */
  senders: PlannedMessage[][];
  deeds: PlannedDeed[];
}

/** A call that gets no answer may take this long (milliseconds); the five-page API cannot tell that it hangs. */
export const CALL_TIMEOUT_MS = 40_000;

/** The plan of conversation number `n`, which hangs on the seed and `n` alone. */
export function planConversation(seeded: Random, n: number, { mode }: Pick<ChaosOptions, 'mode'>): ConversationPlan {
  const random = seeded.fork(`conversation ${n}`);
  const id = `chaos/${n}`;
  const maxExchangesPerRun = random.pick([undefined, undefined, 2, 3, 5]);
  const senders = Array.from({ length: random.pick([1, 1, 2, 3]) }, (_, sender) =>
    Array.from({ length: random.whole(3, 10) }, (_, message) => {
      const messageId = `${n}-${sender}-${message}`;
      return planMessage(random, messageId, mode);
    }),
  );
  return {
    id,
    settings: {
      exchangeTimeoutMs: 5 * 60_000,
      callTimeoutMs: CALL_TIMEOUT_MS,
      ...(maxExchangesPerRun === undefined ? {} : { maxExchangesPerRun }),
    },
    senders,
    deeds: planDeeds(random),
  };
}

function planMessage(random: Random, messageId: string, mode: ChaosOptions['mode']): PlannedMessage {
  return {
    messageId,
    text: questionText(random, `m ${messageId}`),
    via: random.pick(['ask', 'ask', 'submit', 'twice'] as const),
    whenBusy: random.chance(0.75) ? 'enqueue' : random.pick(['interrupt', 'rollback', 'reject'] as const),
    mode: mode === 'mixed' ? (random.chance(0.8) ? 'streaming' : 'blocking') : mode,
    afterMs: random.pick([0, 0, 50, 400]),
  };
}

/** A question whose answer takes a while, with a marker at its end. */
export function questionText(random: Random, marker: string): string {
  const takesMs = random.chance(0.15) ? random.whole(1_000, 4_000) : random.whole(0, 400);
  return `[takes ${takesMs}ms] What is late? ${markerOf(marker)}`;
}

/** Texts that a new session is told end in the message itself, so that the marker stays the last. */
export const markerOf = (name: string): string => `#${name}#`;

/** The marker at the end of a text. */
export function markerIn(text: string): string | undefined {
  return /#[^#]+#$/.exec(text)?.[0];
}

function planDeeds(random: Random): PlannedDeed[] {
  const deeds: PlannedDeed[] = [];
  const add = (kind: PlannedDeed['kind']) =>
    deeds.push({ kind, afterMs: random.whole(0, 3_000), forMs: random.whole(200, 3_000) });
  for (let count = random.whole(0, 3); count > 0; count--) {
    add(random.pick(['cancelExchange', 'cancelWithResponse', 'pause', 'pause', 'reset'] as const));
  }
  if (random.chance(0.05)) add('expire');
  if (random.chance(0.15)) add('close');
  if (random.chance(0.15)) add('cancelConversation');
  else if (random.chance(0.1)) add('terminate');
  return deeds;
}
