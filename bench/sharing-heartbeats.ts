import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ActivityNotFoundError } from '@temporalio/client';
import type { AipClient } from '../src/client/index.js';
import { type PendingActivity, pendingActivities } from '../src/client/pending-activities.js';
import { distribution } from './distribution.js';
import type { Figure } from './figure.js';
import { connectMembers, memberFigures, MEMBERS, reportOf } from './sharing-members.js';
import type { SharingRig } from './sharing-rig.js';
import type { heartbeats, Report } from './sharing-workflows.js';

const SUBJECT = `sharing, heartbeats of pending activities, ${MEMBERS.length} members, one a second`;
const SILENCE_SECONDS = 10;
const BEATS_READ_AT_ONCE = 200;
const LOOK_EVERY_MS = 50;

const activityIdOf = (member: number) => `member-${member}`;

/** Members beat an activity each, and read those of all in the description of the workflow. */
export async function heartbeatFigures(rig: SharingRig): Promise<Figure[]> {
  const taskQueue = `heartbeats-${randomUUID()}`;
  const [worker, clients] = [await rig.startWorker(taskQueue), await connectMembers(rig)];
  const board = await startBoard(rig.installation.client, taskQueue, taskQueue);
  const clientOf = (member: number) => clients[member] ?? rig.installation.client;
  const numbersSeenBy = async (member: number) => {
    const reports = (await board.look(clientOf(member))).map(({ heartbeat }) => heartbeat as Report | undefined);
    return MEMBERS.map((of) => reports.find((report) => report?.member === of)?.number ?? 0);
  };
  await until(async () => (await board.look(clientOf(0))).filter(isRunning).length === MEMBERS.length);

  const beatsMs: number[] = [];
  const exchange = async (report: Report) => {
    const sentMs = performance.now();
    await board.beat(clientOf(report.member), report);
    beatsMs.push(performance.now() - sentMs);
    return numbersSeenBy(report.member);
  };
  const figures = await memberFigures(SUBJECT, rig.installation, {
    ...{ workflowId: board.workflowId, workerPid: worker.pid, exchange },
  });
  const alone = distribution(beatsMs);

  const early = await beatsBeforeStart(rig.installation.client, taskQueue);

  // What follows needs no worker.
  await worker.stop();
  let missed = 0;
  for (let number = 1_001; number <= 1_000 + BEATS_READ_AT_ONCE; number++) {
    await board.beat(clientOf(0), reportOf(0, number));
    if ((await numbersSeenBy(1))[0] !== number) missed++;
  }
  const silentSinceMs = performance.now();
  await until(async () => !(await board.look(clientOf(1))).some(({ activityId }) => activityId === activityIdOf(0)));
  const goneAfterMs = performance.now() - silentSinceMs;
  await Promise.all(clients.map((client) => client.close()));
  return [
    ...figures,
    { subject: SUBJECT, name: 'of which the beat, median', value: alone.p50, unit: 'ms' },
    { subject: SUBJECT, name: 'of which the beat, p99', value: alone.p99, unit: 'ms' },
    { subject: SUBJECT, name: `beats that another missed at once, of ${BEATS_READ_AT_ONCE}`, value: missed, unit: '' },
    { subject: SUBJECT, name: `gone after silence, of ${SILENCE_SECONDS} s`, value: goneAfterMs / 1000, unit: 's' },
    { subject: SUBJECT, name: 'beats taken before the activity has started, of 1', value: early, unit: '' },
  ];
}

/** Beats an activity that no worker has taken. @returns 1 when the beat is taken, 0 when it is refused. */
async function beatsBeforeStart(client: AipClient, taskQueue: string): Promise<number> {
  const board = await startBoard(client, taskQueue, `${taskQueue}-without-worker`);
  await until(async () => (await board.look(client)).length === MEMBERS.length);
  try {
    await board.beat(client, reportOf(0, 1));
    return 1;
  } catch (error) {
    if (error instanceof ActivityNotFoundError) return 0;
    throw error;
  } finally {
    await client.client.workflow.getHandle(board.workflowId).terminate();
  }
}

/** A workflow with an activity of each member. */
async function startBoard({ client }: AipClient, taskQueue: string, activityTaskQueue: string) {
  const workflowId = `heartbeats-${randomUUID()}`;
  const { firstExecutionRunId: runId } = await client.workflow.start<typeof heartbeats>('heartbeats', {
    ...{ workflowId, taskQueue, args: [MEMBERS.map(activityIdOf), SILENCE_SECONDS, activityTaskQueue] },
  });
  return {
    workflowId,
    beat: (by: AipClient, report: Report) =>
      by.client.activity.heartbeat({ workflowId, runId, activityId: activityIdOf(report.member) }, report),
    look: async (by: AipClient) =>
      pendingActivities(by, await by.client.workflow.getHandle(workflowId, runId).describe()),
  };
}

const isRunning = ({ state }: PendingActivity) => state === 'running';

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(LOOK_EVERY_MS);
}
