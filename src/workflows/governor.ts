import {
  ActivityCancellationType,
  condition,
  makeContinueAsNewFunc,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import {
  changedSettings,
  type GovernorInput,
  joinFleetSignal,
  LIMITS_MEMO,
  type LimitSettings,
  MEMBER_TIMEOUT_MS,
  sensibleChange,
  setLimitsSignal,
} from '../protocol/limits.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { interactiveTaskQueue } from '../protocol/task-queues.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import { detailsText } from './details-text.js';

/** A fleet without workers and settings ends after this time. */
const IDLE_WAIT = '10 minutes';
/** Events after which the run is continued as a new one. */
const MOST_EVENTS = 2_000;

/**
 * Where the workers of a task queue share the limits of an agent: a member list and what operators have set, no more. Each worker
 * is stood for by an activity of its own, `holdShare`, which it completes from outside: its heartbeats carry what the worker tells
 * the others, and when they stop, the worker is dead. Beats and reads leave no events.
 *
 * Ends when there has been no worker and no setting for ten minutes.
 */
export async function governorWorkflow(input: GovernorInput): Promise<void> {
  const members = new Set<string>();
  let settings = input.settings ?? {};
  let changes = 0;

  const show = (): void => {
    const isClosed = settings.closed !== undefined;
    upsertMemo({ [LIMITS_MEMO]: settings });
    upsertSearchAttributes([
      { key: searchAttributeKeys.agent, value: input.agentRid },
      { key: searchAttributeKeys.state, value: isClosed ? 'agentClosed' : 'open' },
      { key: searchAttributeKeys.needsAttention, value: isClosed },
    ]);
    setCurrentDetails(settingsText(input.agentRid, settings));
  };
  const stand = async (member: string): Promise<void> => {
    if (members.has(member)) return;
    members.add(member);
    await memberActivity(member)
      .holdShare()
      .catch(() => undefined); // Dead, or evicted: gone all the same.
    members.delete(member);
    changes++;
  };

  setHandler(
    joinFleetSignal,
    ({ member }) => {
      changes++;
      void stand(member);
    },
    { description: 'A worker joins; sent by workers' },
  );
  setHandler(
    setLimitsSignal,
    (change) => {
      settings = changedSettings(settings, sensibleChange(change, new Date().toISOString()));
      changes++;
      show();
    },
    {
      description:
        'Sets ceilings for all workers together, or closes the agent; null takes one away. ' +
        'Argument: {"maxConcurrency": 30, "maxPerMinute": null, "closed": {"until": "2026-01-31T13:00:00Z", "reason": "…"}}',
    },
  );
  show();
  for (const member of input.members ?? []) void stand(member);

  for (;;) {
    const seen = changes;
    const openInMs = opensInMs(settings);
    const isIdle = members.size === 0 && Object.keys(settings).length === 0;
    const wait = openInMs ?? (isIdle ? IDLE_WAIT : undefined);
    if (openInMs === 0) {
      settings = changedSettings(settings, { closed: null });
      show();
      continue;
    }
    const isChanged = (): boolean => changes !== seen;
    if (wait === undefined) await condition(isChanged);
    else if (!(await condition(isChanged, wait)) && isIdle) return;
    if (workflowInfo().historyLength > MOST_EVENTS || workflowInfo().continueAsNewSuggested) {
      await makeContinueAsNewFunc<typeof governorWorkflow>({ workflowType: WORKFLOW_TYPES.governor })({
        agentRid: input.agentRid,
        settings,
        members: [...members],
      });
    }
  }
}

function memberActivity(member: string): Pick<Activities, 'holdShare'> {
  return proxyActivities<Pick<Activities, 'holdShare'>>({
    activityId: member,
    summary: `worker ${member}`,
    taskQueue: interactiveTaskQueue(workflowInfo().taskQueue),
    scheduleToStartTimeout: '1 minute',
    startToCloseTimeout: '30 days',
    heartbeatTimeout: MEMBER_TIMEOUT_MS,
    retry: { maximumAttempts: 1 },
    cancellationType: ActivityCancellationType.ABANDON,
  });
}

/** Milliseconds until a closed agent opens by itself; 0 when it should have. */
function opensInMs({ closed }: LimitSettings): number | undefined {
  if (closed?.until === undefined) return undefined;
  return Math.max(0, Date.parse(closed.until) - Date.now());
}

/** As markdown for the Temporal UI. */
function settingsText(agentRid: string, { maxConcurrency, maxPerMinute, closed }: LimitSettings): string {
  const state =
    closed === undefined
      ? '**open**'
      : `**closed** until ${closed.until ?? 'somebody opens it'}${closed.reason === undefined ? '' : `: ${closed.reason}`}`;
  return detailsText([
    state,
    '',
    `- agent: ${agentRid}`,
    `- calls at once, all workers together: ${maxConcurrency === undefined ? 'no ceiling' : `at most ${maxConcurrency}`}`,
    `- calls per minute: ${maxPerMinute === undefined ? 'no ceiling' : `at most ${maxPerMinute}`}`,
    `- what each worker does stands in the heartbeat of its pending activity`,
    `- to change: \`aip-temporal limits set|close|open --agent ${agentRid}\``,
  ]);
}
