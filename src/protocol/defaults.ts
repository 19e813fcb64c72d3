/** Every default of the protocol in one place; times in milliseconds, sizes in bytes or characters as named. */
export const DEFAULTS = {
  idleTimeoutMs: 24 * 60 * 60 * 1000,
  exchangeTimeoutMs: { interactive: 10 * 60 * 1000, batch: 24 * 60 * 60 * 1000 },
  callTimeoutMs: 10 * 60 * 1000,
  silenceTimeoutMs: 20 * 1000,
  /** See docs/design.md, "Cancellation": how soon an activity hears of a cancel hangs on these. */
  heartbeatTimeoutMs: { interactive: 10 * 1000, batch: 5 * 1000 },
  heartbeatThrottleMs: { interactive: 500, batch: 1000 },
  /** A dead worker's sticky queue holds its workflow tasks this long; Temporal's own default is ten seconds. */
  stickyQueueTimeoutMs: 1000,
  /** The workflow's own clean-up of an exchange, when no worker could do it in the activity. */
  cancelExchangeTimeoutMs: 60 * 1000,
  createSessionTimeoutMs: 60 * 1000,
  batchConcurrency: 20,
  carryOverCharacters: 8_000,
} as const;

/**
 * Bounds that keep histories and payloads small (docs/design.md, invariant 6).
 *
 * What a conversation hands to its next run is one payload, of which Temporal takes 2 MiB. In KiB of JSON:
 *
 * | most   | what                                                           | when it is reached                             |
 * | ------ | -------------------------------------------------------------- | ---------------------------------------------- |
 * |    384 | `queuedBytes`: messages that wait                              | the next is refused                            |
 * |    352 | `recordedBytes`: recorded exchanges and carried parameters     | the oldest texts go, then the oldest exchanges |
 * |  (256) | `parameterBytes`, of these: carried parameters                 | an exchange that needs one without room fails  |
 * |    176 | `forgottenBytes`: ids of older exchanges                       | the oldest go                                  |
 * |     80 | `rejectedBytes`: ids of refused messages                       | the oldest go                                  |
 * |     32 | title, session, ids of parameters without room, totals, commas | (each has a bound of its own)                  |
 * | < 1024 | `snapshotBytes`: all of these                                  | the newest text goes                           |
 * |    256 | `optionBytes`: beside it, what the conversation began with     | it is not started                              |
 *
 * The newest exchange comes on top, whole while `snapshotBytes` allows it; else without its text, which its caller has had by
 * then.
 */
export const LIMITS = {
  messageIdCharacters: 200,
  /** UTF-8 bytes of one user text. */
  textBytes: 256 * 1024,
  /** Messages waiting in one conversation. */
  queuedMessages: 1_000,
  /** JSON bytes of all waiting messages. */
  queuedBytes: 384 * 1024,
  /** Recorded exchanges kept, the older ones without text; beyond them only id, status, index and time. */
  outcomes: 500,
  /** JSON bytes of the recorded exchanges and of the parameters that carry over. */
  recordedBytes: 352 * 1024,
  /** JSON bytes of the parameters that carry over. */
  parameterBytes: 256 * 1024,
  /** JSON bytes of the ids of parameters that found no room there. */
  uncarriedBytes: 8 * 1024,
  /** Ids and statuses kept of older outcomes: how far back a repeated id is recognised. Of refused messages, as many ids. */
  forgottenOutcomes: 2_000,
  /** JSON bytes of them: room for all 2,000 when their ids are as long as a UUID. */
  forgottenBytes: 176 * 1024,
  rejectedBytes: 80 * 1024,
  /** JSON bytes of a title, and of the RID of a given session. */
  nameBytes: 4 * 1024,
  /** JSON bytes of what a conversation is started with, without its turns. */
  optionBytes: 256 * 1024,
  /** JSON bytes of what a conversation hands to its next run. */
  snapshotBytes: 1024 * 1024,
  heartbeatTextCharacters: 64 * 1024,
  /** Of the reason of a pause, or why an agent is closed. */
  reasonCharacters: 200,
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
