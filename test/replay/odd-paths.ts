/**
 * What the recorded runs have to hold between them, so that no path of the workflows is replayed by nothing. A new path of the
 * code is added here, with a story in which it is taken.
 */
import type { temporal } from '@temporalio/proto';
import { createActivities } from '../../src/activities/index.js';
import type { AgentsApi } from '../../src/agents-api/index.js';
import { createGovernor } from '../../src/governor/index.js';
import * as batch from '../../src/protocol/batch.js';
import * as conversation from '../../src/protocol/conversation.js';
import { FAILURE_TYPES } from '../../src/protocol/failures.js';
import { WORKFLOW_TYPES } from '../../src/protocol/workflow-names.js';

type Event = temporal.api.history.v1.IHistoryEvent;

/** Whether a run takes a path, by its events. */
export type Path = (events: readonly Event[]) => boolean;

/** So many events have these attributes, such as are asked for. */
const times =
  <Key extends keyof Event>(
    atLeast: number,
    key: Key,
    are: (attributes: NonNullable<Event[Key]>) => boolean = () => true,
  ): Path =>
  (events) =>
    events.filter((event) => event[key] != null && are(event[key])).length >= atLeast;

const some = <Key extends keyof Event>(key: Key, are?: (attributes: NonNullable<Event[Key]>) => boolean): Path =>
  times(1, key, are);

const all =
  (...paths: readonly Path[]): Path =>
  (events) =>
    paths.every((path) => path(events));

const any =
  (...paths: readonly Path[]): Path =>
  (events) =>
    paths.some((path) => path(events));

const not =
  (path: Path): Path =>
  (events) =>
    !path(events);

/** One path, and after it the other. */
const then =
  (first: Path, second: Path): Path =>
  (events) =>
    events.some((_, at) => first(events.slice(0, at)) && second(events.slice(at)));

const scheduled = (type: string, atLeast = 1): Path =>
  times(atLeast, 'activityTaskScheduledEventAttributes', ({ activityType }) => activityType?.name === type);

/** A path that the events of the activities of one type take. */
const of =
  (type: string, path: Path): Path =>
  (events) => {
    const ids = events.filter((event) => scheduled(type)([event])).map(({ eventId }) => String(eventId));
    return path(events.filter((event) => ids.includes(scheduledBy(event))));
  };

const scheduledBy = (event: Event): string =>
  String(
    (
      event.activityTaskStartedEventAttributes ??
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskTimedOutEventAttributes ??
      event.activityTaskCancelRequestedEventAttributes ??
      event.activityTaskCanceledEventAttributes
    )?.scheduledEventId,
  );

const typeOf = (failure: temporal.api.failure.v1.IFailure | null | undefined) => failure?.applicationFailureInfo?.type;

const completed = some('activityTaskCompletedEventAttributes');
const timedOut = some('activityTaskTimedOutEventAttributes');
const cancelRequested = some('activityTaskCancelRequestedEventAttributes');
const canceled = some('activityTaskCanceledEventAttributes');
const failed = some('activityTaskFailedEventAttributes');
const failedBy = (type: string): Path =>
  some('activityTaskFailedEventAttributes', ({ failure }) => typeOf(failure) === type);
const triedAgainAfter = (type: string): Path =>
  some('activityTaskStartedEventAttributes', ({ attempt, lastFailure }) => {
    return Number(attempt) > 1 && typeOf(lastFailure) === type;
  });
const signaled = (name: string): Path =>
  some('workflowExecutionSignaledEventAttributes', ({ signalName }) => signalName === name);
const updateRefusedBy = (type: string): Path =>
  some('workflowExecutionUpdateCompletedEventAttributes', ({ outcome }) => typeOf(outcome?.failure) === type);
const runCancelRequested = some('workflowExecutionCancelRequestedEventAttributes');
const timerFired = some('timerFiredEventAttributes');
const signalArrived = some('externalWorkflowExecutionSignaledEventAttributes');
const signalLost = some('signalExternalWorkflowExecutionFailedEventAttributes');
const carriedOn = some('workflowExecutionStartedEventAttributes', ({ continuedExecutionRunId }) => {
  return (continuedExecutionRunId ?? '') !== '';
});
const continuedAsNew = some('workflowExecutionContinuedAsNewEventAttributes');
const suggested = some(
  'workflowTaskStartedEventAttributes',
  ({ suggestContinueAsNew }) => suggestContinueAsNew === true,
);

const ends: Record<string, Path> = {
  'is completed': some('workflowExecutionCompletedEventAttributes'),
  'is cancelled': some('workflowExecutionCanceledEventAttributes'),
  'is terminated': some('workflowExecutionTerminatedEventAttributes'),
};
const fails: Record<string, Path> = { fails: some('workflowExecutionFailedEventAttributes') };

const each = (names: readonly string[], what: string, path: (name: string) => Path): Record<string, Path> =>
  Object.fromEntries(names.map((name) => [`${what} ${name}`, path(name)]));

/** The names of all signals that a part of the protocol defines. */
const signalsOf = (protocol: object): string[] =>
  Object.values(protocol as Record<string, unknown>)
    .filter((value) => (value as { type?: unknown } | null)?.type === 'signal')
    .map((definition) => (definition as { name: string }).name);

const toShards: readonly string[] = [
  batch.prepareShardSignal.name,
  batch.admitShardSignal.name,
  batch.signOfLifeSignal.name,
];
const activities = createActivities({ api: {} as AgentsApi, governor: createGovernor() });

/** By workflow type: the paths, of which each must be taken by some recorded run. */
export const oddPaths: Readonly<Record<string, Readonly<Record<string, Path>>>> = {
  [WORKFLOW_TYPES.conversation]: {
    ...ends,
    ...fails,
    ...each(signalsOf(conversation), 'takes the signal', signaled),
    ...each(Object.keys(activities.interactive), 'runs', (type) => of(type, completed)),
    'is asked by an update': some('workflowExecutionUpdateAcceptedEventAttributes'),
    'is asked ahead of its first step': then(not(some('workflowTaskCompletedEventAttributes')), signaled('submit')),
    'names itself when nobody did': some('workflowExecutionStartedEventAttributes', ({ searchAttributes }) => {
      return Object.keys(searchAttributes?.indexedFields ?? {}).length === 0;
    }),

    'opens a second session when the first is refused as gone': then(
      failedBy('SessionNotFound'),
      scheduled('createSession'),
    ),
    'opens a second session when the time of the first is up': all(scheduled('createSession', 2), not(failed)),
    'fails an exchange with its session': all(failedBy('SessionNotFound'), not(scheduled('createSession', 2))),
    'opens a session in place of a given one': then(of('getContent', failed), scheduled('createSession')),
    'fails with a given session': all(of('getContent', failed), not(scheduled('createSession'))),
    'fails without a session': of('createSession', failed),
    'has no time left for a session': of('createSession', timedOut),
    'is cancelled while it opens a session': of('createSession', cancelRequested),
    'leaves a session that is full': then(failedBy('ContextSizeExceededLimit'), scheduled('createSession')),
    'sends again, shorter, in the same session': all(
      then(failedBy('ContextSizeExceededLimit'), of('streamingContinue', completed)),
      not(scheduled('createSession', 2)),
    ),
    'is too long however it is cut': times(3, 'activityTaskFailedEventAttributes', ({ failure }) => {
      return typeOf(failure) === 'ContextSizeExceededLimit';
    }),

    'is tried again after a failure': triedAgainAfter('SessionExecutionFailed'),
    'is tried again after a limit': triedAgainAfter('RateLimitExceeded'),
    'is tried again after a deploy': triedAgainAfter('ExchangeHandedBack'),
    'fails for good': failedBy('AgentIterationsExceededLimit'),
    'fails when no time is left to wait': failedBy('RateLimitExceeded'),
    'is handed back when no time is left': failedBy('ExchangeHandedBack'),
    'runs out of time': of('streamingContinue', timedOut),
    'ends at the agent what ran out of time': then(of('streamingContinue', timedOut), of('cancelExchange', completed)),
    'ends at the agent what failed and may run': then(
      failedBy('TracePermissionDenied'),
      of('cancelExchange', completed),
    ),
    'ends at the agent what was cancelled in a backoff': all(
      of('streamingContinue', canceled),
      of('cancelExchange', completed),
    ),
    'ends at the agent what was cancelled and died': all(
      of('streamingContinue', all(cancelRequested, not(any(completed, canceled)))),
      of('cancelExchange', completed),
    ),
    'cannot tell how an exchange ended': of('cancelExchange', failed),
    'is cancelled while it streams': of('streamingContinue', all(cancelRequested, completed)),
    'is cancelled while it cannot be stopped': of('blockingContinue', all(cancelRequested, completed)),
    'is cancelled while its title is set': of('updateTitle', cancelRequested),
    'is cancelled ahead of its first step': then(not(some('workflowTaskCompletedEventAttributes')), runCancelRequested),
    'is cancelled while it is idle': all(runCancelRequested, not(cancelRequested)),

    'is idle until its time is up': all(timerFired, not(signaled('close'))),
    'arms its idle timer anew': all(timerFired, times(2, 'timerStartedEventAttributes')),
    'tells its callers that it rolled over': updateRefusedBy(FAILURE_TYPES.conversationRolledOver),
    'rolls over by its own count': all(continuedAsNew, not(suggested)),
    'rolls over as the server suggests': all(continuedAsNew, suggested),
    'goes on from a snapshot': carriedOn,
    'sees to somebody’s attention, and no longer': times(4, 'upsertWorkflowSearchAttributesEventAttributes'),
  },

  [WORKFLOW_TYPES.batch]: {
    ...ends,
    ...each(
      signalsOf(batch).filter((name) => !toShards.includes(name)),
      'takes the signal',
      signaled,
    ),
    ...each(toShards, 'sends the signal', (name) =>
      some('signalExternalWorkflowExecutionInitiatedEventAttributes', ({ signalName }) => signalName === name),
    ),
    'admits shards one after the other': then(signaled('shardFinished'), signalArrived),
    'admits three shards at once': times(3, 'signalExternalWorkflowExecutionInitiatedEventAttributes', (sent) => {
      return sent.signalName === 'admitShard' && Number(sent.workflowTaskCompletedEventId) === 4;
    }),
    'loses a shard that it wants to admit': all(signalLost, not(timerFired)),
    'loses a shard that gives no sign of life': then(timerFired, signalLost),
    'cancels its shards': some('externalWorkflowExecutionCancelRequestedEventAttributes'),
    'is cancelled and waits for a shard in vain': then(runCancelRequested, timerFired),
    'continues as new': all(continuedAsNew, suggested),
    'goes on from a snapshot': all(carriedOn, ends['is completed'] ?? not(carriedOn)),
    'goes on from a snapshot, and is cancelled': all(carriedOn, runCancelRequested),
  },

  [WORKFLOW_TYPES.batchShard]: {
    ...ends,
    ...fails,
    ...each(toShards, 'takes the signal', signaled),
    ...each(Object.keys(activities.batch), 'runs', (type) => of(type, completed)),
    'opens its sessions ahead': then(
      signaled('prepareShard'),
      then(of('createSessions', completed), signaled('admitShard')),
    ),
    'opens sessions while it runs a short first lane': then(
      all(scheduled('runLane'), scheduled('createSessions', 2)),
      of('runLane', completed),
    ),
    'opens new sessions for rows whose own have expired': then(of('runLane', completed), scheduled('createSessions')),
    'runs three lanes': scheduled('runLane', 3),
    'runs no lane': all(
      of('createSessions', completed),
      ends['is completed'] ?? not(completed),
      not(scheduled('runLane')),
    ),
    'is tried again after a deploy': triedAgainAfter('HandedBack'),
    'fails with its lane': all(of('runLane', failed), not(runCancelRequested)),
    'ends itself the rows of a lane that was cancelled and died': all(
      of('runLane', all(cancelRequested, not(completed))),
      of('cancelLane', completed),
    ),
    'is cancelled before its turn': all(runCancelRequested, not(scheduled('createSessions'))),
    'is cancelled with its sessions open': all(
      runCancelRequested,
      scheduled('createSessions'),
      not(scheduled('runLane')),
    ),
    'is cancelled while its sessions are opened': of('createSessions', all(cancelRequested, canceled)),
    'is cancelled in its lane': of('runLane', all(cancelRequested, completed)),
    'is cancelled in its lane while sessions are opened': all(
      of('runLane', cancelRequested),
      of('createSessions', canceled),
    ),
    'asks whether its batch lives, and goes on': then(timerFired, then(signalArrived, of('runLane', completed))),
    'sees that its batch is gone': then(timerFired, signalLost),
    'ends although its batch is gone': all(signalLost, runCancelRequested),
  },
};
