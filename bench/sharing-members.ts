import { setTimeout as delay } from 'node:timers/promises';
import { AipClient } from '../src/client/index.js';
import { distribution } from './distribution.js';
import type { Figure } from './figure.js';
import { historyEvents } from './history-events.js';
import { busyCpu, type SharingRig } from './sharing-rig.js';
import type { Report } from './sharing-workflows.js';

export const MEMBERS: readonly number[] = [0, 1, 2, 3];
const SECONDS = 30;
const EVERY_MS = 1_000;
const REPORT_BYTES = 500;
const WARM_UP = 50;

/** Sends the report of a member. @returns The number of the last report of each member that this one now knows of. */
export type Exchange = (report: Report) => Promise<readonly number[]>;

/** A connection for each member, as if each were a process. */
export function connectMembers({ address }: SharingRig): Promise<AipClient[]> {
  return Promise.all(MEMBERS.map(() => AipClient.connect({ connection: { address } })));
}

export function reportOf(member: number, number: number): Report {
  const report = { member, number, wanted: 1 + member, filling: '' };
  return { ...report, filling: 'x'.repeat(REPORT_BYTES - JSON.stringify(report).length) };
}

/** What it takes that members report once a second through a workflow. */
export async function memberFigures(
  subject: string,
  { client, pids }: SharingRig['installation'],
  { workflowId, workerPid, exchange }: { workflowId: string; workerPid: number; exchange: Exchange },
): Promise<Figure[]> {
  for (let report = 0; report < WARM_UP; report++) await exchange(reportOf(report % MEMBERS.length, 0));
  const cpu = await busyCpu({ client: pids.client, worker: workerPid, server: pids.server });
  const eventsBefore = await historyEvents(client, workflowId);
  const { latenciesMs, knownMs } = await runMembers(exchange);
  const used = cpu.elapsedMs();
  const events = (await historyEvents(client, workflowId)) - eventsBefore;
  const [latency, known] = [distribution(latenciesMs), distribution(knownMs)];
  const { count } = latency;
  const all = used.client + used.worker + used.server;
  return [
    { subject, name: 'history events per report', value: events / count, unit: '' },
    { subject, name: 'CPU per report, client + worker + server', value: all / count, unit: 'ms' },
    { subject, name: 'CPU per report, server', value: used.server / count, unit: 'ms' },
    { subject, name: 'server with nothing to do, deducted', value: cpu.idle.server, unit: 'ms/s' },
    { subject, name: 'report with its answer, median', value: latency.p50, unit: 'ms' },
    { subject, name: 'report with its answer, p99', value: latency.p99, unit: 'ms' },
    { subject, name: 'known to another after, median', value: known.p50, unit: 'ms' },
    { subject, name: 'known to another after, p99', value: known.p99, unit: 'ms' },
  ];
}

/** What the members met. */
interface MembersSeen {
  /** Of each report, from its sending to the answer. */
  latenciesMs: number[];
  /** Of each report and each other member, from its sending until that member knew of it. */
  knownMs: number[];
}

/** Has each member report once a second, out of step with the others. */
async function runMembers(exchange: Exchange): Promise<MembersSeen> {
  const seen: MembersSeen = { latenciesMs: [], knownMs: [] };
  // Of each member, by the number of the report; no report has the number 0.
  const sentMs = MEMBERS.map(() => [NaN]);
  const endMs = performance.now() + SECONDS * 1000;
  const run = async (member: number) => {
    const known = MEMBERS.map(() => 0);
    await delay(Math.random() * EVERY_MS);
    for (let number = 1; performance.now() < endMs; number++) {
      const startedMs = performance.now();
      sentMs[member]?.push(startedMs);
      const numbers = await exchange(reportOf(member, number));
      const nowMs = performance.now();
      seen.latenciesMs.push(nowMs - startedMs);
      for (const other of MEMBERS.filter((one) => one !== member)) {
        const [from = 0, to = 0] = [known[other], numbers[other]];
        seen.knownMs.push(...(sentMs[other] ?? []).slice(from + 1, to + 1).map((ms) => nowMs - ms));
        known[other] = to;
      }
      // Drifts, so that the members meet in all orders.
      await delay(Math.max(0, EVERY_MS * (0.9 + 0.2 * Math.random()) - (nowMs - startedMs)));
    }
  };
  await Promise.all(MEMBERS.map(run));
  return seen;
}
