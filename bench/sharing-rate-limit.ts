import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import proto from '@temporalio/proto';
import type { AipClient } from '../src/client/index.js';
import type { Figure } from './figure.js';
import { historyEvents } from './history-events.js';
import { busyCpu, type SharingRig } from './sharing-rig.js';
import type { permits } from './sharing-workflows.js';

const PER_SECOND = 50;
const HALVED = 25;
const SECONDS = 20;
const AT_ONCE = 100;
const SUBJECT = `sharing, task queue rate limit, ${PER_SECOND} a second, two workers`;

/** How long a workflow runs before its limit is changed, and how long a changed limit is watched. */
const LEAD_IN_MS = 1_000;
const WATCHED_MS = 3_500;
/** The limit holds when the permits of a second are off it by this part at most. */
const NEAR = 0.25;
const STEP_MS = 100;

/** Each permit is an activity on a task queue with a rate limit: how well that holds, and what a permit costs. */
export async function rateLimitFigures(rig: SharingRig): Promise<Figure[]> {
  return [...(await steadyFigures(rig)), ...(await changeFigures(rig))];
}

async function steadyFigures(rig: SharingRig): Promise<Figure[]> {
  const { client, pids } = rig.installation;
  const taskQueue = `permits-${randomUUID()}`;
  const start = () => rig.startWorker(taskQueue, PER_SECOND);
  const [first, second] = await Promise.all([start(), start()]);
  const cpu = await busyCpu({ first: first.pid, second: second.pid, server: pids.server });
  const [workflowId, count] = [taskQueue, PER_SECOND * SECONDS];
  await client.client.workflow.execute<typeof permits>('permits', {
    ...{ workflowId, taskQueue, args: [count, AT_ONCE, taskQueue] },
  });
  const used = cpu.elapsedMs();
  await Promise.all([first.stop(), second.stop()]);
  const givenMs = await permitsMs(client, workflowId);
  const [firstMs = 0, lastMs = 0] = [givenMs[0], givenMs.at(-1)];
  const early = countIn(givenMs, firstMs, firstMs + 1000);
  const laterPerSecond = ((count - early) * 1000) / (lastMs - firstMs - 1000);
  const events = await historyEvents(client, workflowId);
  const all = used.first + used.second + used.server;
  return [
    { subject: SUBJECT, name: 'permits a second', value: (count * 1000) / (lastMs - firstMs), unit: '/s' },
    { subject: SUBJECT, name: 'permits in the first second', value: early, unit: '' },
    { subject: SUBJECT, name: 'permits a second from then on', value: laterPerSecond, unit: '/s' },
    { subject: SUBJECT, name: 'history events per permit', value: events / count, unit: '' },
    { subject: SUBJECT, name: 'CPU per permit, workers + server', value: all / count, unit: 'ms' },
    { subject: SUBJECT, name: 'CPU per permit, server', value: used.server / count, unit: 'ms' },
    { subject: SUBJECT, name: 'server with nothing to do, deducted', value: cpu.idle.server, unit: 'ms/s' },
  ];
}

async function changeFigures(rig: SharingRig): Promise<Figure[]> {
  const { client } = rig.installation;
  const taskQueue = `permits-${randomUUID()}`;
  const start = () => rig.startWorker(taskQueue, PER_SECOND);
  // The workflow has a worker of its own, as it waits for seconds when its worker is restarted.
  const workflowTaskQueue = `${taskQueue}-workflow`;
  const workers = await Promise.all([start(), start(), rig.startWorker(workflowTaskQueue)]);
  const handle = await client.client.workflow.start<typeof permits>('permits', {
    ...{ workflowId: taskQueue, taskQueue: workflowTaskQueue, args: [100_000, AT_ONCE, taskQueue] },
  });
  /** Changes the limit. @returns From when it was begun, and from when it was done, until when it was watched. */
  const watched = async (change: () => Promise<unknown>) => {
    const begunMs = Date.now();
    await change();
    const doneMs = Date.now();
    await delay(WATCHED_MS);
    return { begunMs, doneMs, endMs: Date.now() };
  };
  const restart = async (index: number) => {
    await workers[index]?.stop();
    workers[index] = await rig.startWorker(taskQueue, HALVED);
  };
  await delay(LEAD_IN_MS);
  const one = await watched(() => restart(0));
  const both = await watched(() => restart(1));
  const raised = await watched(() => setRate(client, taskQueue, PER_SECOND));
  const lowered = await watched(() => setRate(client, taskQueue, HALVED));
  await handle.terminate();
  await Promise.all(workers.map((worker) => worker.stop()));
  const givenMs = await permitsMs(client, taskQueue);
  const mixed = (countIn(givenMs, one.doneMs, one.endMs) * 1000) / (one.endMs - one.doneMs);
  const holds = (watch: typeof one, perSecond: number) => heldAfterMs(givenMs, watch, perSecond) / 1000;
  return [
    { subject: SUBJECT, name: `permits a second, one restarted with ${HALVED}`, value: mixed, unit: '/s' },
    { subject: SUBJECT, name: `${HALVED} hold after the restart of the other`, value: holds(both, HALVED), unit: 's' },
    { subject: SUBJECT, name: `${PER_SECOND} by the server hold after`, value: holds(raised, PER_SECOND), unit: 's' },
    { subject: SUBJECT, name: `${HALVED} by the server hold after`, value: holds(lowered, HALVED), unit: 's' },
  ];
}

/** From the beginning of a change until the permits of each second from then on are near the limit; NaN: never. */
function heldAfterMs(
  givenMs: readonly number[],
  { begunMs, endMs }: { begunMs: number; endMs: number },
  perSecond: number,
): number {
  let heldMs = NaN;
  for (let afterMs = 0; begunMs + afterMs + 1000 <= endMs; afterMs += STEP_MS) {
    const count = countIn(givenMs, begunMs + afterMs, begunMs + afterMs + 1000);
    if (Math.abs(count - perSecond) > NEAR * perSecond) heldMs = NaN;
    else if (Number.isNaN(heldMs)) heldMs = afterMs;
  }
  return heldMs;
}

function countIn(timesMs: readonly number[], fromMs: number, toMs: number): number {
  return timesMs.filter((ms) => ms >= fromMs && ms < toMs).length;
}

/** Sets the rate of a task queue's activities at the server; it goes before what workers say. */
async function setRate({ client }: AipClient, taskQueue: string, requestsPerSecond: number): Promise<void> {
  await client.connection.workflowService.updateTaskQueueConfig({
    ...{ namespace: client.options.namespace, identity: 'bench', taskQueue },
    taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    updateQueueRateLimit: { rateLimit: { requestsPerSecond } },
  });
}

/** When the permits of a workflow were given, by its history, in order. */
async function permitsMs({ client }: AipClient, workflowId: string): Promise<number[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? [])
    .filter((event) => event.activityTaskStartedEventAttributes != null)
    .map(({ eventTime }) => Number(eventTime?.seconds ?? 0) * 1000 + (eventTime?.nanos ?? 0) / 1e6)
    .sort((a, b) => a - b);
}
