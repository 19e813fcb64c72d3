/**
 * What the recorded runs have to hold between them, so that no path of the workflows is replayed by nothing. A new path of the
 * code is added here, with a story in which it is taken.
 */
import type { temporal } from '@temporalio/proto';
import { createChildBatchActivities } from '../../src/activities/child-batch.js';
import { createActivities } from '../../src/activities/index.js';
import { createNotifyApproval } from '../../src/activities/notify-approval.js';
import type { AgentsApi } from '../../src/agents-api/index.js';
import { createGovernor } from '../../src/governor/index.js';
import * as automation from '../../src/protocol/automation.js';
import * as batch from '../../src/protocol/batch.js';
import * as conversation from '../../src/protocol/conversation.js';
import * as limits from '../../src/protocol/limits.js';
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
/** What the first argument of a message or an activity says. */
function argumentOf(input: temporal.api.common.v1.IPayloads | null | undefined): Record<string, unknown> {
  const data = input?.payloads?.[0]?.data;
  return data == null ? {} : (JSON.parse(Buffer.from(data).toString('utf8')) as Record<string, unknown>);
}
const sends = (name: string, is: (argument: Record<string, unknown>) => boolean = () => true): Path =>
  some('signalExternalWorkflowExecutionInitiatedEventAttributes', ({ signalName, input }) => {
    return signalName === name && is(argumentOf(input));
  });
const givenNoShare = some('workflowExecutionSignaledEventAttributes', ({ signalName, input }) => {
  return signalName === batch.admitShardSignal.name && argumentOf(input)['concurrency'] === 0;
});
/** Begins with what was asked of the batch before. */
const controlled = (is: (control: batch.BatchControl) => boolean): Path =>
  some('workflowExecutionStartedEventAttributes', ({ input }) => {
    const { control } = (argumentOf(input)['snapshot'] ?? {}) as Partial<batch.BatchSnapshot>;
    return control !== undefined && is(control);
  });
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
  batch.pauseShardSignal.name,
  batch.resumeShardSignal.name,
  batch.stopShardSignal.name,
  batch.signOfLifeSignal.name,
];
const activities = createActivities({ api: {} as AgentsApi, governor: createGovernor() });

/** Activities that only automations, and workflows of users, run. */
const ofAutomations = Object.keys({
  ...createChildBatchActivities(undefined),
  notifyApproval: createNotifyApproval(undefined),
});

/** By workflow type: the paths, of which each must be taken by some recorded run. */
export const oddPaths: Readonly<Record<string, Readonly<Record<string, Path>>>> = {
  [WORKFLOW_TYPES.conversation]: {
    ...ends,
    ...fails,
    ...each(signalsOf(conversation), 'takes the signal', signaled),
    ...each(
      Object.keys(activities.interactive).filter((type) => ![limits.MEMBER_ACTIVITY, ...ofAutomations].includes(type)),
      'runs',
      (type) => of(type, completed),
    ),
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

  [WORKFLOW_TYPES.automation]: {
    ...ends,
    ...fails,
    ...each(signalsOf(automation), 'takes the signal', signaled),
    ...each(
      ofAutomations.filter((type) => type !== 'readBatchResults'),
      'runs',
      (type) => of(type, completed),
    ),
    'reads the results of a batch': of('readBatchResults', completed),
    'is decided by an update': some('workflowExecutionUpdateAcceptedEventAttributes'),
    'is told that somebody is needed, and no longer': times(2, 'upsertWorkflowSearchAttributesEventAttributes'),
    'has several sessions': scheduled('createSession', 5),
    'runs a batch as its child': some('childWorkflowExecutionCompletedEventAttributes'),
    'cancels a batch': some('childWorkflowExecutionCanceledEventAttributes'),
    'waits for its time': timerFired,
    'is cancelled while it streams': of('streamingContinue', all(cancelRequested, completed)),
    'is cancelled in its timers': all(runCancelRequested, some('timerCanceledEventAttributes')),
    'is past a deadline while it streams': all(
      then(timerFired, of('streamingContinue', cancelRequested)),
      not(runCancelRequested),
    ),
    'goes on after a step that failed': then(
      failedBy('AgentIterationsExceededLimit'),
      of('streamingContinue', completed),
    ),
    'continues as new': continuedAsNew,
    'goes on from a snapshot': carriedOn,
  },

  [WORKFLOW_TYPES.governor]: {
    ...ends,
    ...each(signalsOf(limits), 'takes the signal', signaled),
    'sees a worker leave': of(limits.MEMBER_ACTIVITY, completed),
    'sees a worker die': of(limits.MEMBER_ACTIVITY, timedOut),
    'has two workers at once': scheduled(limits.MEMBER_ACTIVITY, 2),
    'is set ahead of its first step': then(not(some('workflowTaskCompletedEventAttributes')), signaled('setLimits')),
    'opens by itself': all(timerFired, signaled('setLimits'), not(some('workflowExecutionCompletedEventAttributes'))),
    'ends when it has been idle': all(timerFired, some('workflowExecutionCompletedEventAttributes')),
    'continues as new': all(continuedAsNew, suggested),
    'goes on with its members': all(carriedOn, scheduled(limits.MEMBER_ACTIVITY)),
  },

  [WORKFLOW_TYPES.batch]: {
    ...ends,
    ...each(
      signalsOf(batch).filter((name) => !toShards.includes(name)),
      'takes the signal',
      signaled,
    ),
    ...each(toShards, 'sends the signal', (name) => sends(name)),
    'admits shards one after the other': then(signaled('shardFinished'), signalArrived),
    'admits three shards at once': times(3, 'signalExternalWorkflowExecutionInitiatedEventAttributes', (sent) => {
      return sent.signalName === 'admitShard' && Number(sent.workflowTaskCompletedEventId) === 4;
    }),
    'loses a shard that it wants to admit': all(signalLost, not(timerFired)),
    'loses a shard that gives no sign of life': then(timerFired, signalLost),
    'cancels its shards': some('externalWorkflowExecutionCancelRequestedEventAttributes'),
    'is cancelled and waits for a shard in vain': then(runCancelRequested, timerFired),
    'continues as new': all(continuedAsNew, suggested),
    'continues as new with another weight': all(
      then(signaled('setWeight'), some('workflowPropertiesModifiedEventAttributes')),
      all(continuedAsNew, suggested),
    ),
    'is paused ahead of its first step': then(not(some('workflowTaskCompletedEventAttributes')), signaled('pause')),
    'sees a shard end while it is paused': then(signaled('pause'), then(signaled('shardFinished'), signaled('resume'))),
    'is cancelled while it is paused': all(signaled('pause'), runCancelRequested, not(signaled('resume'))),
    'has fewer rows at once than shards, and more again': then(
      sends('admitShard', ({ concurrency }) => concurrency === 0),
      then(signaled('setConcurrency'), signaled('shardFinished')),
    ),
    'gives a shard without a share the place of one that has ended': then(
      sends('admitShard', ({ concurrency }) => concurrency === 0),
      then(
        signaled('shardFinished'),
        sends('admitShard', ({ concurrency }) => concurrency === 1),
      ),
    ),
    'gives its last shards the places of one that has ended': all(
      not(signaled('setConcurrency')),
      then(signaled('shardFinished'), some('workflowPropertiesModifiedEventAttributes')),
      not(
        then(
          signaled('shardFinished'),
          sends('admitShard', ({ concurrency }) => concurrency === 2),
        ),
      ),
    ),
    'gives its last shards the places of one that has ended, and tells them': then(
      signaled('shardFinished'),
      all(
        some('workflowPropertiesModifiedEventAttributes'),
        sends('admitShard', ({ concurrency }) => concurrency === 2),
      ),
    ),
    'passes over a stop of no sense': all(signaled('stop'), not(sends('stopShard'))),
    'stops at its deadline': then(
      timerFired,
      sends('stopShard', ({ reason }) => reason === 'deadline'),
    ),
    'stops at its deadline while it is paused': all(
      then(signaled('pause'), then(timerFired, sends('stopShard'))),
      not(signaled('resume')),
    ),
    'is stopped by a lane': then(
      signaled('stop'),
      sends('stopShard', ({ reason }) => reason === 'maxTokens'),
    ),
    'is stopped by a lane for its failures': then(
      signaled('stop'),
      sends('stopShard', ({ reason }) => reason === 'maxFailures'),
    ),
    'stops by its own count': all(
      not(signaled('stop')),
      sends('stopShard', ({ reason }) => reason === 'maxFailures'),
    ),
    'goes on from a snapshot paused, and is resumed': all(
      controlled(({ paused }) => paused !== undefined),
      then(signaled('resume'), sends('resumeShard')),
    ),
    'goes on from a snapshot of a batch that was steered, and stops at its deadline': all(
      controlled(({ concurrency, cancelledRows }) => concurrency !== undefined && cancelledRows !== undefined),
      timerFired,
    ),
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
    'tells of rows that have ended beside one that runs': then(timerFired, sends(batch.shardProgressSignal.name)),
    'opens its first sessions before it hears of its batch': then(
      all(of('createSessions', completed), not(any(signaled('prepareShard'), signaled('admitShard')))),
      signaled('admitShard'),
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
    'is paused between two lanes': then(of('runLane', completed), then(signaled('resumeShard'), scheduled('runLane'))),
    'is paused in its lane': then(scheduled('runLane'), signaled('pauseShard')),
    'is cancelled while it is paused': all(signaled('pauseShard'), runCancelRequested, not(signaled('resumeShard'))),
    'waits without a share, and goes on': then(all(scheduled('runLane'), givenNoShare), scheduled('runLane')),
    'is stopped before its turn': all(signaled('stopShard'), not(scheduled('createSessions'))),
    'is stopped with its sessions open': all(
      signaled('stopShard'),
      of('createSessions', completed),
      not(scheduled('runLane')),
    ),
    'is stopped in its lane': all(
      then(scheduled('runLane'), signaled('stopShard')),
      not(then(of('runLane', completed), signaled('stopShard'))),
    ),
    'is stopped while it is paused': all(signaled('pauseShard'), signaled('stopShard'), not(signaled('resumeShard'))),
    'is stopped while its sessions are opened': all(
      signaled('stopShard'),
      of('createSessions', canceled),
      not(scheduled('runLane')),
    ),
    'is stopped in its lane while sessions are opened': all(
      signaled('stopShard'),
      of('createSessions', canceled),
      of('runLane', completed),
    ),
    'deletes sessions beside its lane': then(
      all(scheduled('deleteSessions'), scheduled('runLane', 2)),
      times(2, 'activityTaskCompletedEventAttributes'),
    ),
    'deletes its sessions although it is cancelled': all(runCancelRequested, of('deleteSessions', completed)),
    'deletes at its end what a cancel has cut off': then(of('deleteSessions', canceled), scheduled('deleteSessions')),
    'cannot delete its sessions': of('deleteSessions', any(failed, timedOut)),
    'has rows of their own deadline and mode': some(
      'activityTaskScheduledEventAttributes',
      ({ activityType, input }) => {
        const rows = (argumentOf(input)['rows'] ?? []) as Partial<batch.BatchRow>[];
        const isOwn = ({ deadline, mode }: Partial<batch.BatchRow>) => deadline !== undefined && mode !== undefined;
        return activityType?.name === 'runLane' && rows.some(isOwn);
      },
    ),
    'asks whether its batch lives, and goes on': then(timerFired, then(signalArrived, of('runLane', completed))),
    'sees that its batch is gone': then(timerFired, signalLost),
    'ends although its batch is gone': all(signalLost, runCancelRequested),
  },
};
