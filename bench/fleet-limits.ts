import { setTimeout as delay } from 'node:timers/promises';
import { setLimits } from '../src/client/index.js';
import type { ChildProgram } from './child-program.js';
import { type Figure, promisedNone } from './figure.js';
import type { Installation } from './installation.js';
import { startCold, startLoad } from './limit-load.js';
import { madeQuestions } from './questions.js';
import { firstStartMs, landedIn, limitSettings, mostAtOnce, shareUsed, type UntoldLimit } from './untold-limit.js';

/** Four workers, started one after the other, of which one is killed. */
interface FleetCase {
  name: string;
  limit: UntoldLimit;
  /** The limit is told, as a ceiling of all workers together, and the agent has none. */
  isCeiling?: true;
  callMs: number;
}

export const FLEET_CASES: readonly FleetCase[] = [
  { name: 'four workers, 50 a second', limit: { kind: 'perSecond', calls: 50, burst: 50 }, callMs: 200 },
  { name: 'four workers, 20 at once', limit: { kind: 'atOnce', calls: 20 }, callMs: 1_000 },
  { name: 'four workers, ceiling of 30 at once', limit: { kind: 'atOnce', calls: 30 }, isCeiling: true, callMs: 1_000 },
];

/** When the workers are started, and when one is killed (seconds after the first question). */
const STARTS = [0, 10, 15, 20];
const KILLED_AT = 40;
const ENDS_AT = 75;
const WANTED = 100;
const ROWS = 12_000;

/** How four workers meet one limit together; the second is killed. */
export async function fleetFigures(installation: Installation, one: FleetCase): Promise<Figure[]> {
  const { simulator } = installation;
  const { name: subject, limit, callMs } = one;
  const ceiling = one.isCeiling === true && limit.kind === 'atOnce' ? limit.calls : undefined;
  await startCold(installation, {
    limits: ceiling === undefined ? limitSettings(limit) : {},
    answerLatencyMs: [0.7 * callMs, 1.3 * callMs],
  });
  if (ceiling !== undefined) await setCeiling(installation, ceiling);
  const load = await startLoad(installation, { rows: madeQuestions(ROWS), wanted: WANTED });
  const startedMs = Date.now();
  const until = (second: number) => delay(Math.max(0, startedMs + second * 1000 - Date.now()));
  const added: ChildProgram[] = [];
  for (const second of STARTS.slice(1)) {
    await until(second);
    added.push(await installation.addWorker());
  }
  await until(KILLED_AT);
  added[0]?.kill('SIGKILL');
  await until(ENDS_AT);
  const [toMs, refused] = [Date.now(), await load.refused()];
  const exchanges = await load.stop();
  await Promise.all(added.map((worker) => worker.stop()));
  if (ceiling !== undefined) await setCeiling(installation, null);
  const span = { fromMs: firstStartMs(exchanges), toMs };
  const { duplicateCounts } = await simulator.summary();
  const calm = (from: number, to: number) => ({ fromMs: startedMs + from * 1000, toMs: startedMs + to * 1000 });
  const afterDeath = shareUsed(limit, exchanges, calm(KILLED_AT + 15, ENDS_AT), false);
  return [
    {
      ...{ subject, name: 'share of the limit used', unit: '' },
      ...{ value: shareUsed(limit, exchanges, span, true), aim: { atLeast: 0.9 } },
    },
    {
      ...{ subject, name: 'share used from 15 s after a worker was killed', unit: '' },
      ...{ value: afterDeath, aim: { atLeast: 0.9 } },
    },
    {
      ...{ subject, name: 'refused calls per landing', unit: '' },
      ...{ value: refused / landedIn(exchanges, span).length, aim: { atMost: 0.08 } },
    },
    ...(limit.kind === 'atOnce'
      ? [
          {
            ...{ subject, name: 'exchanges at once, by the ledger, most', value: mostAtOnce(exchanges), unit: '' },
            aim: { atMost: limit.calls },
          },
        ]
      : []),
    promisedNone(subject, 'questions asked twice, by the ledger', duplicateCounts.text),
  ];
}

async function setCeiling({ client, agentRid }: Installation, maxConcurrency: number | null): Promise<void> {
  await setLimits(client, agentRid, { maxConcurrency });
}
