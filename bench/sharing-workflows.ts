/** Workflows of `sharing`: each is one way in which processes can share a limit through Temporal. */
import { condition, defineUpdate, proxyActivities, setHandler } from '@temporalio/workflow';
import type { sharingActivities } from './sharing-worker.js';

/** What a member tells the others. */
export interface Report {
  member: number;
  /** 1, 2, 3, … of this member. */
  number: number;
  wanted: number;
  /** Fills it up to the size of a report of what a governor knows. */
  filling: string;
}

/** What a member is told. */
export interface Lease {
  /** Its part of the limit. */
  share: number;
  /** The number of the last report of each member; 0: none yet. */
  numbers: number[];
}

type Activities = typeof sharingActivities;

/** Each permit is an activity that does nothing, on a task queue whose rate is limited. */
export async function permits(count: number, atOnce: number, taskQueue: string): Promise<void> {
  // An eager activity would go past the task queue, and with that past its limit.
  const options = { taskQueue, startToCloseTimeout: '10 seconds', allowEagerDispatch: false } as const;
  const { permit } = proxyActivities<Activities>(options);
  let left = count;
  const lane = async () => {
    while (left-- > 0) await permit();
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

export const report = defineUpdate<Lease, [Report]>('report');

/** Members report by an update, and are told their share; runs until it is terminated. */
export async function leases(members: number, limit: number): Promise<void> {
  const reports: Report[] = [];
  setHandler(report, (own) => {
    reports[own.member] = own;
    const wanted = reports.reduce((sum, one) => sum + one.wanted, 0);
    const numbers = Array.from({ length: members }, (_, member) => reports[member]?.number ?? 0);
    return { share: (limit * own.wanted) / wanted, numbers };
  });
  await condition(() => false);
}

/** An activity of this id for each member, pending while the member beats it; ends when all are silent. */
export async function heartbeats(activityIds: string[], silenceSeconds: number, taskQueue: string): Promise<void> {
  const untilSilent = async (activityId: string) => {
    const proxies = proxyActivities<Activities>({
      ...{ activityId, taskQueue, allowEagerDispatch: false, retry: { maximumAttempts: 1 } },
      ...{ startToCloseTimeout: '1 hour', heartbeatTimeout: `${silenceSeconds} seconds` },
    });
    await proxies.untilSilent().catch(() => undefined);
  };
  await Promise.all(activityIds.map(untilSilent));
}
