/** Every default of the protocol in one place; times in milliseconds, sizes in bytes or characters as named. */
export const DEFAULTS = {
  idleTimeoutMs: 24 * 60 * 60 * 1000,
  exchangeTimeoutMs: { interactive: 10 * 60 * 1000, batch: 24 * 60 * 60 * 1000 },
  callTimeoutMs: 10 * 60 * 1000,
  silenceTimeoutMs: 20 * 1000,
  /** See docs/design.md, "Cancellation": how soon an activity hears of a cancel hangs on these. */
  heartbeatTimeoutMs: { interactive: 10 * 1000, batch: 5 * 1000 },
  heartbeatThrottleMs: { interactive: 500, batch: 1000 },
  /** The workflow's own clean-up of an exchange, when no worker could do it in the activity. */
  cancelExchangeTimeoutMs: 60 * 1000,
  createSessionTimeoutMs: 60 * 1000,
  batchConcurrency: 20,
  carryOverCharacters: 8_000,
} as const;

/** Bounds that keep histories and payloads small (docs/design.md, invariant 6). */
export const LIMITS = {
  messageIdCharacters: 200,
  /** UTF-8 bytes of one user text. */
  textBytes: 256 * 1024,
  /** Messages waiting in one conversation. */
  queuedMessages: 1_000,
  /** JSON bytes of all waiting messages. */
  queuedBytes: 384 * 1024,
  /** JSON bytes of the recorded exchanges kept with their texts. */
  recordedBytes: 320 * 1024,
  /** Recorded exchanges kept, the older ones without text; beyond them only id, status, index and time. */
  outcomes: 500,
  /** Ids and statuses kept of older outcomes: how far back a repeated id is recognised. */
  forgottenOutcomes: 2_000,
  heartbeatTextCharacters: 64 * 1024,
  shardRows: 200,
  shardBytes: 512 * 1024,
  laneResultCharacters: 512 * 1024,
  /** Transient failures (5xx and the like) per exchange before it has failed. */
  transientFailures: 5,
} as const;

/** Backoff per failure class (docs/design.md, "Errors → what happens"). */
export const BACKOFF = {
  wait: { baseMs: 2_000, factor: 2, capMs: 60_000, jitter: 'full' },
  transient: { baseMs: 1_000, factor: 2, capMs: 30_000, jitter: 'none' },
} as const;
