import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerExchange } from '../src/simulator/index.js';
import { type Figure, promisedNone } from './figure.js';
import type { Installation } from './installation.js';
import { FLEET_CASES, fleetFigures } from './fleet-limits.js';
import { interactiveFigures } from './interactive-wait.js';
import { startCold, startLoad } from './limit-load.js';
import { madeQuestions, questionsOfMixedLength } from './questions.js';
import { firstStartMs, landedIn, limitSettings, shareUsed, type Span, type UntoldLimit } from './untold-limit.js';

/** Settings of `limits`. */
export interface LimitsOptions {
  /** Only cases in whose name this occurs. Default: all. */
  only?: string | undefined;
  say: (text: string) => void;
}

/** A time with one limit; the batch runs on from one to the next. */
interface Phase {
  limit: UntoldLimit;
  seconds: number;
  /** How long the worker has to find the limit before its use is measured. Default: none. */
  settleSeconds?: number;
  /** Shown in the figures. */
  name?: string;
}

/** A batch against a limit. */
interface Case {
  name: string;
  phases: readonly Phase[];
  /** Rows that the batch wants at once, and how many there are: more than can be asked. */
  wanted: number;
  rows: number;
  /** Time of an answer: from 0.7 to 1.3 of it. */
  callMs: number;
  /** Answers of very different lengths. */
  isMixed?: true;
  aims: { used: number; refused: number };
}

const atOnce = (calls: number): UntoldLimit => ({ kind: 'atOnce', calls });
const perSecond = (calls: number, burst: number): UntoldLimit => ({ kind: 'perSecond', calls, burst });
const halvedAndDoubled = (whole: UntoldLimit, half: UntoldLimit): Phase[] => [
  { limit: whole, seconds: 25, settleSeconds: 10, name: '10 s after the start' },
  { limit: half, seconds: 45, settleSeconds: 30, name: '30 s after it was halved' },
  { limit: whole, seconds: 45, settleSeconds: 30, name: '30 s after it was doubled' },
];

const CASES: readonly Case[] = [
  {
    name: '50 a second, burst 50',
    phases: [{ limit: perSecond(50, 50), seconds: 30 }],
    ...{ wanted: 100, rows: 2_000, callMs: 200, aims: { used: 0.95, refused: 0.05 } },
  },
  {
    name: '20 at once',
    phases: [{ limit: atOnce(20), seconds: 30 }],
    ...{ wanted: 100, rows: 4_000, callMs: 200, aims: { used: 0.95, refused: 0.05 } },
  },
  {
    name: '3 at once',
    phases: [{ limit: atOnce(3), seconds: 30 }],
    ...{ wanted: 100, rows: 1_000, callMs: 200, aims: { used: 0.85, refused: 0.05 } },
  },
  {
    // Of 200 ms they would be 1,000 a second, which is more than two cores can serve.
    name: '200 at once',
    phases: [{ limit: atOnce(200), seconds: 30 }],
    ...{ wanted: 400, rows: 5_000, callMs: 2_000, aims: { used: 0.95, refused: 0.05 } },
  },
  {
    name: '60,000 tokens a minute, answers of 80 to 4,000 tokens',
    phases: [{ limit: { kind: 'perMinute', tokens: 60_000 }, seconds: 120 }],
    ...{ wanted: 100, rows: 1_000, callMs: 2_000, isMixed: true, aims: { used: 0.9, refused: 0.1 } },
  },
  {
    name: '100 a second, halved, doubled',
    phases: halvedAndDoubled(perSecond(100, 50), perSecond(50, 50)),
    ...{ wanted: 200, rows: 12_000, callMs: 200, aims: { used: 0.9, refused: 0.05 } },
  },
  {
    name: '20 at once, halved, doubled',
    phases: halvedAndDoubled(atOnce(20), atOnce(10)),
    ...{ wanted: 100, rows: 12_000, callMs: 200, aims: { used: 0.9, refused: 0.05 } },
  },
];

const INTERACTIVE = 'interactive, 10 at once, in a full batch';

/** How a worker meets limits that it is not told, each time one that has never met the agent. */
export async function limitsBenchmark(installation: Installation, { only, say }: LimitsOptions): Promise<Figure[]> {
  const isWanted = (name: string) => only === undefined || name.includes(only);
  const figures: Figure[] = [];
  try {
    for (const one of CASES.filter(({ name }) => isWanted(name))) {
      say(`limits, ${one.name} ...`);
      figures.push(...(await caseFigures(installation, one)));
    }
    for (const one of FLEET_CASES.filter(({ name }) => isWanted(name))) {
      say(`limits, ${one.name} ...`);
      figures.push(...(await fleetFigures(installation, one)));
    }
    if (isWanted(INTERACTIVE)) {
      say(`limits, ${INTERACTIVE} ...`);
      figures.push(...(await interactiveFigures(installation, INTERACTIVE, atOnce(10))));
    }
  } finally {
    await startCold(installation, { limits: {}, answerLatencyMs: 0 });
  }
  return figures;
}

/** A phase as it went. */
interface PhaseSeen {
  phase: Phase;
  /** The measured part. */
  span: Span;
  refused: number;
}

async function caseFigures(installation: Installation, one: Case): Promise<Figure[]> {
  const { simulator } = installation;
  const [first] = one.phases;
  if (first === undefined) return [];
  await startCold(installation, {
    limits: limitSettings(first.limit),
    answerLatencyMs: [0.7 * one.callMs, 1.3 * one.callMs],
  });
  const rows = one.isMixed === true ? questionsOfMixedLength(one.rows) : madeQuestions(one.rows);
  const load = await startLoad(installation, { rows, wanted: one.wanted });
  const seen: PhaseSeen[] = [];
  for (const phase of one.phases) {
    if (phase !== first) await simulator.change({ limits: limitSettings(phase.limit) });
    await delay((phase.settleSeconds ?? 0) * 1000);
    const [fromMs, before] = [Date.now(), phase.settleSeconds === undefined ? 0 : await load.refused()];
    await delay((phase.seconds - (phase.settleSeconds ?? 0)) * 1000);
    seen.push({ phase, span: { fromMs, toMs: Date.now() }, refused: (await load.refused()) - before });
  }
  const exchanges = await load.stop();
  const { duplicateCounts } = await simulator.summary();
  return [
    ...seen.flatMap((phaseSeen) => phaseFigures(one, phaseSeen, exchanges)),
    { subject: one.name, name: 'first question after', value: load.firstQuestionAfterMs / 1000, unit: 's' },
    promisedNone(one.name, 'questions asked twice, by the ledger', duplicateCounts.text),
  ];
}

function phaseFigures(
  { name: subject, aims }: Case,
  { phase, span, refused }: PhaseSeen,
  exchanges: readonly LedgerExchange[],
): Figure[] {
  const isFromStart = phase.settleSeconds === undefined;
  // The first question came up to a look before it was seen.
  const whole = isFromStart ? { ...span, fromMs: firstStartMs(exchanges) } : span;
  const landed = landedIn(exchanges, whole).length;
  const when = phase.name === undefined ? '' : `, ${phase.name}`;
  return [
    {
      ...{ subject, name: `share of the limit used${when}`, unit: '' },
      value: shareUsed(phase.limit, exchanges, whole, isFromStart),
      aim: { atLeast: aims.used },
    },
    {
      ...{ subject, name: `refused calls per landing${when}`, unit: '' },
      value: refused / landed,
      aim: { atMost: aims.refused },
    },
    { subject, name: `landed per second${when}`, value: (landed * 1000) / (whole.toMs - whole.fromMs), unit: '/s' },
  ];
}
