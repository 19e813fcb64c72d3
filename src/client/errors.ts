/**
 * What can go wrong on the way to a conversation, as its caller sees it. What goes wrong *inside* an exchange is no error of
 * the client: it is the outcome (`status: 'failed'`).
 *
 * Every message says what was met and what to do; none holds user text or a token.
 */
export class AipClientError extends Error {
  override readonly name: string = 'AipClientError';
}

/** `whenBusy: 'reject'`, and an exchange is running or queued. The message was not accepted. */
export class ConversationBusyError extends AipClientError {
  override readonly name = 'ConversationBusyError';
  constructor(readonly conversationId: string) {
    super(`Conversation ${conversationId} is busy: the message was not accepted; wait, or ask with whenBusy "enqueue"`);
  }
}

/** The conversation is finishing its queue and takes no more messages. The message was not accepted. */
export class ConversationClosedError extends AipClientError {
  override readonly name = 'ConversationClosedError';
  constructor(readonly conversationId: string) {
    super(
      `Conversation ${conversationId} is closing and takes no more messages: the message was not accepted; ask again once it is closed, or use another id`,
    );
  }
}

/** How a workflow run came to its end. */
export type EndStatus = 'completed' | 'cancelled' | 'terminated' | 'timedOut' | 'failed';

/** The conversation ended while the caller waited: the message has no answer. */
export class ConversationEndedError extends AipClientError {
  override readonly name = 'ConversationEndedError';
  constructor(
    readonly conversationId: string,
    readonly status: EndStatus,
  ) {
    super(`Conversation ${conversationId} was ${status === 'timedOut' ? 'timed out' : status} before the answer came`);
  }
}

/** No conversation of that id is known to this namespace. */
export class ConversationNotFoundError extends AipClientError {
  override readonly name = 'ConversationNotFoundError';
  constructor(
    readonly conversationId: string,
    readonly namespace: string,
  ) {
    super(
      `Cannot find conversation ${conversationId} in namespace ${namespace}: it never ran, or its retention is over; list those that are there`,
    );
  }
}

/** The conversation has ended: nothing is left to be cancelled or closed. */
export class ConversationNotRunningError extends AipClientError {
  override readonly name = 'ConversationNotRunningError';
  constructor(readonly conversationId: string) {
    super(`Conversation ${conversationId} has ended: nothing of it runs; a message to it begins it again`);
  }
}

/** The conversation's queue is full. The message was not accepted. */
export class ConversationQueueFullError extends AipClientError {
  override readonly name = 'ConversationQueueFullError';
  constructor(
    readonly conversationId: string,
    reason: string,
  ) {
    super(`Conversation ${conversationId} did not accept the message: ${reason}`);
  }
}

/** The message breaks a rule (its size, its id, an unknown field). It was not accepted. */
export class InvalidMessageError extends AipClientError {
  override readonly name = 'InvalidMessageError';
}

/** Nothing answers at the Temporal address, or not in time. */
export class TemporalUnreachableError extends AipClientError {
  override readonly name = 'TemporalUnreachableError';
  constructor(
    readonly address: string,
    reason: string,
  ) {
    super(
      `Cannot reach Temporal at ${address} (${reason}): start one with \`aip-temporal dev\`, or mend TEMPORAL_ADDRESS`,
    );
  }
}

/** Temporal refused the request: a missing namespace, missing permissions, input over its limits. */
export class TemporalRefusedError extends AipClientError {
  override readonly name = 'TemporalRefusedError';
}

/** The server does not know our search attributes, and they could not be added. */
export class SearchAttributesMissingError extends AipClientError {
  override readonly name = 'SearchAttributesMissingError';
  constructor(
    readonly missing: readonly string[],
    readonly command: string,
    reason: string,
  ) {
    super(`Temporal lacks the search attributes ${missing.join(', ')} (${reason}): run \`${command}\``);
  }
}

/** A question to the state of a workflow got no answer in time, though workers poll its task queue. It may get one later. */
export class UnansweredError extends AipClientError {
  override readonly name: string = 'UnansweredError';
}

/** No worker polls the task queue: questions to a conversation's state need one. */
export class NoWorkerError extends UnansweredError {
  override readonly name = 'NoWorkerError';
  constructor(readonly taskQueue: string) {
    super(`No worker polls task queue ${taskQueue}: start one with \`aip-temporal worker\``);
  }
}

/** A conversation of that id runs already. */
export class ConversationExistsError extends AipClientError {
  override readonly name = 'ConversationExistsError';
  constructor(readonly conversationId: string) {
    super(`Conversation ${conversationId} runs already: ask it, or use another id`);
  }
}

/** A call of the library that cannot be right: what is missing is in the message. */
export class InvalidCallError extends AipClientError {
  override readonly name = 'InvalidCallError';
}
