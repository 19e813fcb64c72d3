/**
 * The exchange protocol against every combination of what the agent did with a send, what was seen of it, and when its worker
 * died. What is asserted are the invariants (docs/design.md): a message lands at most once; what landed is its outcome and is
 * not asked again; of what has failed nothing landed and nothing runs. The decisions themselves are pinned by tables below.
 *
 * Cells are many, so they share a test by the row; a test that fails lists the cells that do not hold.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { EARLIER_SEND_TOO_EARLY_MS } from '../../src/activities/exchange-cancel.js';
import {
  ExchangeFailure,
  memoryAfterAnAttempt,
  memoryOf,
  newExchangeMemory,
  retryDecision,
  type ExchangeMemory,
} from '../../src/activities/exchange-failure.js';
import { sessionTraceId } from '../../src/activities/exchange-ids.js';
import {
  createExchangeProtocol,
  type ExchangeProtocol,
  type ExchangeRequest,
  type FoundExchange,
} from '../../src/activities/exchange-protocol.js';
import type { Governor } from '../../src/governor/governor.js';
import type { CancelExchangeResult } from '../../src/protocol/activities.js';
import {
  ScriptedAgent,
  type AgentExchange,
  type AgentHabits,
  type Fate,
  type Line,
  type Moment,
  type SendScript,
  type View,
} from '../support/scripted-agent.js';

type Mode = ExchangeRequest['mode'];

beforeAll(() => {
  const doNotFake = ['setImmediate', 'clearImmediate', 'nextTick', 'queueMicrotask', 'hrtime', 'performance'] as const;
  jest.useFakeTimers({ doNotFake: [...doNotFake] });
});
afterEach(() => void jest.clearAllTimers());
afterAll(() => void jest.useRealTimers());

const LONGEST_MS = 3 * 3_600_000;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Lets time pass until the work is done. Without work: until nothing is going to happen any more. */
async function passTime<T>(work?: Promise<T>): Promise<T | undefined> {
  const untilMs = Date.now() + LONGEST_MS;
  let isDone = false;
  const done = work?.finally(() => (isDone = true));
  done?.catch(() => undefined);
  for (;;) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (isDone) return done;
    if (jest.getTimerCount() === 0) {
      if (done === undefined) return undefined;
      throw new Error('It waits for something that is never going to happen');
    }
    if (Date.now() > untilMs) throw new Error('It goes on for hours');
    jest.advanceTimersToNextTimer();
  }
}

const IDS = { messageId: '6c1f5f0e-8f0a-4c8e-9b52-0b6de8a3b7aa', traceIdBase: '0f0f5a3c-5a5e-4c43-a2a4-6b1a3e0d9c11' };
const SESSION = 'ri.aip-agents..session.one';
const traceIdOf = (traceNumber: number) => sessionTraceId(SESSION, IDS, traceNumber);

const requestIn = (mode: Mode, more: Partial<ExchangeRequest> = {}): ExchangeRequest => ({
  agentRid: 'ri.aip-agents..agent.one',
  sessionRid: SESSION,
  ids: IDS,
  text: 'Where is my order 4711?',
  mode,
  exchangesBefore: 0,
  callTimeoutMs: 60_000,
  silenceTimeoutMs: 2_000,
  priority: 'interactive',
  ...more,
});

const memoryWith = (more: Partial<ExchangeMemory>): ExchangeMemory => ({ ...newExchangeMemory(), ...more });

function noLimits(onAcquire: () => void): Governor {
  return {
    acquire() {
      onAcquire();
      return Promise.resolve({ release: () => undefined, used: () => undefined });
    },
    occupy: () => () => undefined,
    status: () => undefined,
    agentRids: () => [],
  };
}

const STOPPED = new Error('The exchange is no longer its own');

type Ending = { found: FoundExchange } | { failure: ExchangeFailure };

/** A worker's process: it tries an exchange until it has ended, as Temporal would have it, or until it dies. */
class Worker {
  readonly #line: Line;
  readonly protocol: ExchangeProtocol;
  readonly #stop = new AbortController();
  /** Temporal takes nothing more from it: another attempt owns the exchange. */
  isReplaced = false;
  /** What the try in hand began with, and what it told last. */
  startedWith = newExchangeMemory();
  lastTold: ExchangeMemory | undefined;

  constructor(agent: ScriptedAgent, onAcquire: () => void = () => undefined) {
    this.#line = agent.connect();
    this.protocol = createExchangeProtocol({ api: this.#line.api, governor: noLimits(onAcquire) });
  }

  async toItsEnd(request: ExchangeRequest, memory: ExchangeMemory): Promise<Ending> {
    for (;;) {
      this.startedWith = memory;
      this.lastTold = undefined;
      try {
        return { found: await this.run(request, memory) };
      } catch (error) {
        if (!(error instanceof ExchangeFailure)) throw error;
        const decision = retryDecision(error, () => 0.5);
        if (decision === 'final' || this.isReplaced) return { failure: error };
        ({ memory } = error);
        await pause(decision.retryAfterMs);
      }
    }
  }

  run(request: ExchangeRequest, memory: ExchangeMemory): Promise<FoundExchange> {
    return this.protocol.run(request, memory, {
      signal: this.#stop.signal,
      onProgress: (progress) => (this.lastTold = memoryOf(progress)),
    });
  }

  /** Nothing more comes from it; what it has sent is on its way. */
  die(): void {
    this.#line.cut();
    this.#stop.abort(new Error('killed'));
  }

  /** Hears that the exchange is no longer its own. */
  stop(): void {
    this.#stop.abort(STOPPED);
  }
}

/** When the first worker dies; 2: the second time that it comes to this. */
type Death = 'beforeTheSend' | Moment | 'left2' | 'look2' | 'answered';

/**
 * How the next attempt comes: knowing what the last heartbeat told, or what the one before the try told, or nothing; half a
 * second later, or long after; or while the first is still alive, which hears of it after 3 s, or never.
 */
type Successor = 'knowingAll' | 'knowingTheOld' | 'knowingNothing' | 'muchLater' | 'overlapping' | 'besideIt';

interface Cell {
  habits: AgentHabits;
  mode: Mode;
  scripts: readonly SendScript[];
  death?: Death;
  successor?: Successor;
  /** Reads and cancels fail for so long after the first send (milliseconds). */
  outOfReachMs?: number;
  request?: Partial<ExchangeRequest>;
  /** The session answers something else for so long (milliseconds). */
  busyMs?: number;
}

interface CellEnd {
  agent: ScriptedAgent;
  ending: Ending;
  /** What the workflow's clean-up said, where the failure left open whether something was sent. */
  settled?: CancelExchangeResult;
  isRunning: boolean;
  /** Whether the first worker came to the moment of its death. */
  hasDied: boolean;
  cell: Cell;
}

/** Runs a cell to its end, and the agent to the end of all that it was sent. */
async function runCell(cell: Cell): Promise<CellEnd> {
  const agent = new ScriptedAgent(cell.habits, cell.scripts);
  if (cell.busyMs !== undefined) {
    agent.begin({ mode: 'blocking', text: OTHER_TEXT }, { kind: 'runs', takesMs: cell.busyMs, ends: 'lands' });
  }
  const request = requestIn(cell.mode, cell.request);
  const { ending, hasDied } = await runWorkers(agent, request, cell);
  const settled = await settle(agent, request, ending);
  const isRunning = agent.running !== undefined && agent.running.text !== OTHER_TEXT;
  await passTime();
  return { cell, agent, ending, isRunning, hasDied, ...(settled !== undefined && { settled }) };
}

const OTHER_TEXT = 'Another message';

async function runWorkers(agent: ScriptedAgent, request: ExchangeRequest, cell: Cell) {
  const { death, successor } = cell;
  const livesOn = successor === 'overlapping' || successor === 'besideIt';
  let toCome = death?.endsWith('2') === true ? 2 : 1;
  let die = (): void => undefined;
  const died = new Promise<'died'>((resolve) => (die = () => resolve('died')));
  const onMoment = (moment: Death): void => {
    if (moment === 'left' && agent.sends.length === 1) agent.outOfReachUntilMs = Date.now() + (cell.outOfReachMs ?? 0);
    if (moment !== death?.replace('2', '') || --toCome !== 0) return;
    if (!livesOn) first.die();
    die();
  };
  const first: Worker = new Worker(agent, () => onMoment('beforeTheSend'));
  agent.onMoment = onMoment;
  const firstEnding = first.toItsEnd(request, newExchangeMemory());
  // Of one that died or was replaced, nobody hears the end.
  firstEnding.catch(() => undefined);
  const ending = await passTime(Promise.race([firstEnding, died]));
  const isLost = death === 'answered' && ending !== 'died' && 'found' in ending!;
  if (ending !== 'died' && !isLost) return { ending: ending!, hasDied: false };

  first.isReplaced = true;
  await passTime(pause(successor === 'muchLater' ? 12_000 : 500));
  if (successor === 'overlapping') setTimeout(() => first.stop(), 3_000);
  const known = { knowingAll: first.lastTold ?? first.startedWith, knowingTheOld: first.startedWith };
  const memory: ExchangeMemory = {
    ...(successor === 'knowingAll' || successor === 'knowingTheOld' ? known[successor] : newExchangeMemory()),
    ...memoryAfterAnAttempt(Date.now()),
  };
  if (successor === 'knowingNothing' || successor === 'besideIt') delete memory.lastSendMs;
  const second = new Worker(agent);
  return { ending: (await passTime(second.toItsEnd(request, memory)))!, hasDied: true };
}

/** What the workflow does with a failure that leaves open whether something was sent. */
async function settle(agent: ScriptedAgent, request: ExchangeRequest, ending: Ending) {
  if ('found' in ending) return undefined;
  const { memory, failureClass } = ending.failure;
  if (!memory.mayBeSent || failureClass === 'expired') return undefined;
  const known = memoryWith({ traceNumber: memory.traceNumber, mayBeSent: true });
  return passTime(new Worker(agent).protocol.cancel(request, known, undefined, EARLIER_SEND_TOO_EARLY_MS));
}

/** Refusals that end an exchange, by what they are called when they reach us. */
const FINAL =
  /^(ContextSizeExceededLimit|InvalidParameter|Default:Unauthorized|\w+PermissionDenied|SessionNotFound|SomethingNew)$/;

/** Sends at most, lookups by sending included, of one worker. */
const MOST_SENDS = 30;

/** What does not hold in a cell. */
function violations(end: CellEnd): string[] {
  const { agent, ending, settled, isRunning } = end;
  const found: string[] = [];
  const exchanges = agent.exchanges.filter(({ text }) => text !== OTHER_TEXT);
  const landed = agent.landed.filter((exchange) => exchanges.includes(exchange));
  const result = 'found' in ending ? ending.found.result : settled && 'result' in settled ? settled.result : undefined;
  const mayStillRun = settled?.status === 'cancelled' && settled.mayStillRun === true;
  if (landed.length > 1) found.push('landed more than once');
  if (result !== undefined) {
    const isInSession = landed.some((exchange) => isDeepStrictEqual(exchange.result, result));
    if (!isInSession) found.push('its result is not in the session');
    const landedMs = Math.min(...landed.map(({ endedMs }) => endedMs));
    if (exchanges.some(({ beganMs }) => beganMs > landedMs)) found.push('asked again after it had landed');
    if (isRunning) found.push('answered, and another one runs');
  } else if (!mayStillRun) {
    if (landed.length > 0) found.push('has failed, and landed');
    if (isRunning) found.push('has failed, and runs');
  }
  if (agent.sends.length > 2 * MOST_SENDS || exchanges.length > 5) found.push(`sent ${agent.sends.length} times`);
  if ('failure' in ending) found.push(...badFailure(end, ending.failure));
  return found;
}

function badFailure({ agent, hasDied, cell }: CellEnd, { error, memory }: ExchangeFailure): string[] {
  const { errorName } = error;
  // An agent that nobody can reach uses up what failures there may be.
  if (cell.outOfReachMs !== undefined && memory.transientFailures > 5) return [];
  if (!FINAL.test(errorName)) return [`gave up at ${errorName}`];
  if (agent.isGone) return [];
  if (!agent.delivered.includes(errorName)) return [`gave up at ${errorName}, which nobody said`];
  return memory.mayBeSent && agent.sends.length === 1 && !hasDied ? ['does not know that nothing was sent'] : [];
}

/** Runs cells, and tells those that do not hold. With a death: at least one of them must come to it. */
async function expectToHold(cells: Iterable<[name: string, cell: Cell]>): Promise<void> {
  const bad: string[] = [];
  // Who comes to no death needs no successor: that cell is one of the tests without.
  const undying = new Set<Cell['scripts']>();
  let deaths = 0;
  for (const [name, cell] of cells) {
    if (undying.has(cell.scripts)) continue;
    const end = await runCell(cell);
    if (cell.death === undefined || end.hasDied) deaths++;
    else undying.add(cell.scripts);
    for (const violation of violations(end)) bad.push(`${name}: ${violation} (${historyOf(end.agent)})`);
    jest.clearAllTimers();
  }
  expect(bad).toEqual([]);
  expect(deaths).toBeGreaterThan(0);
}

const historyOf = ({ exchanges, sends }: ScriptedAgent): string =>
  `${sends.length} sends; ${exchanges.map(({ status }) => status).join(', ') || 'nothing began'}`;

type Running = Extract<Fate, { kind: 'runs' }>;
const refused = (status: number, errorName: string): Fate => ({ kind: 'refused', by: { status, errorName } });
const runs = (takesMs: number, more: Partial<Running> = {}): Running => ({
  kind: 'runs',
  takesMs,
  ends: 'lands',
  ...more,
});

/** What the agent does with the first send. Bounds of the protocol: 2 s for lagging content, 30 s for a look, 60 s a call. */
const FATES = {
  'is lost on the way': { kind: 'lost' },
  'is refused by the limit': refused(400, 'RateLimitExceeded'),
  'is refused for a hiccup': refused(500, 'SessionExecutionFailed'),
  'is refused for its length': refused(400, 'ContextSizeExceededLimit'),
  'is refused for a parameter': refused(400, 'InvalidParameter'),
  'is refused for its token': refused(401, 'Default:Unauthorized'),
  'is refused for a permission': refused(403, 'StreamingContinueSessionPermissionDenied'),
  'finds its session gone': refused(404, 'SessionNotFound'),
  'is refused in a way that no page documents': refused(400, 'SomethingNew'),
  'lands at once': runs(40),
  'lands slowly': runs(6_000),
  'lands after longer than is looked for it': runs(45_000),
  'lands after longer than a call may take': runs(80_000),
  'lands, and the content lags': runs(40, { contentLagMs: 1_500 }),
  'begins and fails at once': runs(40, { ends: 'fails' }),
  'begins and fails slowly': runs(6_000, { ends: 'fails' }),
  'arrives late': runs(40, { arrivesAfterMs: 8_000 }),
  'arrives late and lands slowly': runs(6_000, { arrivesAfterMs: 8_000 }),
  'arrives after all that is waited for': runs(40, { arrivesAfterMs: 90_000 }),
} satisfies Record<string, Fate>;
type FateName = keyof typeof FATES;
const FATE_NAMES = Object.keys(FATES) as FateName[];

/** What is seen of it. */
const VIEWS = {
  'it is': { kind: 'faithful' },
  'no connection': { kind: 'unconnected' },
  'a break at once': { kind: 'broken', afterMs: 3 },
  'a break midway': { kind: 'broken', afterMs: 3_500 },
  'a break at the end': { kind: 'brokenAtEnd' },
  'a clean end at once': { kind: 'endsEarly', afterMs: 3 },
  'a clean end midway': { kind: 'endsEarly', afterMs: 3_500 },
  'a 502': { kind: 'status', status: 502, afterMs: 3 },
  'a 503': { kind: 'status', status: 503, afterMs: 3 },
  'a 504 midway': { kind: 'status', status: 504, afterMs: 3_500 },
  'a 429': { kind: 'status', status: 429, afterMs: 3 },
  silence: { kind: 'silent' },
  'the refusal of its double': { kind: 'sentTwice' },
} satisfies Record<string, View>;
type ViewName = keyof typeof VIEWS;
const VIEW_NAMES = Object.keys(VIEWS) as ViewName[];

const isLate = (fate: Fate): boolean => fate.kind !== 'lost' && fate.arrivesAfterMs !== undefined;

/** Whether a send of this fate can be seen so. A 429 is a gateway's, which does not let it through. */
function isPossible(fate: Fate, view: View, mode: Mode, { serverKind }: AgentHabits): boolean {
  const isSlow = isLate(fate) || (fate.kind === 'runs' && fate.takesMs > 1_000);
  switch (view.kind) {
    case 'faithful':
    case 'brokenAtEnd':
      return fate.kind !== 'lost';
    case 'unconnected':
      return fate.kind === 'lost';
    case 'broken':
      return view.afterMs < 1_000 || isSlow;
    case 'endsEarly':
      return mode === 'streaming' && (view.afterMs < 1_000 || (isSlow && !isLate(fate)));
    case 'status':
      return view.status === 429 ? fate.kind === 'lost' : view.afterMs < 1_000 || isSlow;
    case 'silent':
      return true;
    case 'sentTwice':
      return serverKind === 'withTraces' && fate.kind === 'runs' && !isLate(fate);
  }
}

const faithful = (fate: FateName): SendScript => ({ fate: FATES[fate], view: VIEWS['it is'] });
const MET_THE_LIMIT: SendScript = { fate: { kind: 'lost' }, view: VIEWS['a 429'] };

/** What becomes of the next send, if there is one; those after it go well. */
const NEXT: Record<string, SendScript[]> = {
  'goes well': [],
  'meets the limit': [MET_THE_LIMIT],
  'is refused for a hiccup': [faithful('is refused for a hiccup')],
};

const HABITS: [server: string, AgentHabits][] = [
  ['with traces', { serverKind: 'withTraces' }],
  ['whose failed sends use their ids up', { serverKind: 'withTraces', failedSendsUseUpIds: 'shown' }],
  ['whose failed sends use their ids up without a trace', { serverKind: 'withTraces', failedSendsUseUpIds: 'hidden' }],
  ['whose traces show late', { serverKind: 'withTraces', traceLagMs: 800 }],
  ['of the five pages', { serverKind: 'fivePages' }],
];
const MODES: Mode[] = ['streaming', 'blocking'];
const SERVERS: [server: string, mode: Mode, habits: AgentHabits][] = HABITS.flatMap(([server, habits]) =>
  MODES.map((mode): [string, Mode, AgentHabits] => [server, mode, habits]),
);
const hasTraces = ([, , { serverKind }]: (typeof SERVERS)[number]) => serverKind === 'withTraces';

/** Without traces, a late request cannot be told from a new one: those cells have a test of their own. */
const canHold = (fate: Fate, { serverKind }: AgentHabits) => serverKind === 'withTraces' || !isLate(fate);

function* possibleViews(mode: Mode, habits: AgentHabits, fates: readonly FateName[], views: readonly ViewName[]) {
  for (const fateName of fates) {
    for (const viewName of views) {
      const [fate, view]: [Fate, View] = [FATES[fateName], VIEWS[viewName]];
      if (isPossible(fate, view, mode, habits))
        yield { fate, script: { fate, view }, name: `${fateName}, seen as ${viewName}` };
    }
  }
}

describe.each(SERVERS)(
  'on a server %s, a %s message lands once, or nothing of it does, when its first send',
  (...row) => {
    const [, mode, habits] = row;

    test.each(FATE_NAMES.filter((name) => canHold(FATES[name], habits)))(
      '%s, whatever is seen of it',
      async (fateName) => {
        await expectToHold(cells());

        function* cells(): Iterable<[string, Cell]> {
          for (const { script, name } of possibleViews(mode, habits, [fateName], VIEW_NAMES)) {
            for (const [nextName, next] of Object.entries(NEXT)) {
              yield [`${name}; the next ${nextName}`, { habits, mode, scripts: [script, ...next] }];
            }
          }
        }
      },
    );
  },
);

const SUCCESSORS: Successor[] = [
  'knowingAll',
  'knowingTheOld',
  'knowingNothing',
  'muchLater',
  'overlapping',
  'besideIt',
];
/** To workers that die, one final refusal is like another, and one lost answer like another. */
const FATES_OF_THE_DYING = FATE_NAMES.filter((name) => !/(length|token|permission)$/.test(name));
const VIEWS_OF_THE_DYING: ViewName[] = ['it is', 'a break at once', 'a clean end at once', 'silence'];

function* cellsOfTheDying(
  [, mode, habits]: (typeof SERVERS)[number],
  death: Death,
  successors: readonly Successor[],
  next: readonly SendScript[],
): Iterable<[string, Cell]> {
  const seen = new Set<string>();
  for (const { script, name, fate } of possibleViews(mode, habits, FATES_OF_THE_DYING, VIEWS_OF_THE_DYING)) {
    if (!canHold(fate, habits)) continue;
    const scripts = [script, ...next];
    for (const successor of successors) {
      const livesOn = successor === 'overlapping' || successor === 'besideIt';
      // One that has told its answer has nothing more to do.
      if (livesOn && death === 'answered') continue;
      // Who dies while the call is open sees nothing more of it; who has not failed before knows nothing older.
      const isOpen = (death === 'left' || death === 'halfway') && script.view.kind !== 'broken';
      const key = livesOn || !isOpen ? name : JSON.stringify(fate);
      if (seen.has(`${key} ${successor}`)) continue;
      if (successor === 'knowingTheOld' && (death === 'left' || death === 'beforeTheSend')) continue;
      seen.add(`${key} ${successor}`);
      yield [`${name}; ${successor}`, { habits, mode, scripts, death, successor }];
    }
  }
}

describe.each(SERVERS)(
  'on a server %s, a %s message lands once, or nothing of it does, when its worker dies',
  (...row) => {
    const DEATHS: [name: string, Death][] = [
      ['before the send', 'beforeTheSend'],
      ['right after the request has left', 'left'],
      ['right after a second request has left', 'left2'],
      ['in the middle of the answer', 'halfway'],
      ['at its first look for the exchange', 'look'],
      ['at its second look for the exchange', 'look2'],
      ['while it cancels a lost exchange', 'cancel'],
      ['after the answer, before it is told', 'answered'],
    ];

    // Only what streams can be cancelled.
    const possible = DEATHS.filter(([, death]) => death !== 'cancel' || row[1] === 'streaming');

    test.each(possible)('%s, whatever the next attempt knows', async (_name, death) => {
      await expectToHold(cellsOfTheDying(row, death, SUCCESSORS, []));
    });
  },
);

/**
 * A send whose fate is unknown, whose worker has died, and a next one that is refused for sure: the refusal says nothing of
 * the first, so its id must stay.
 */
describe('a next attempt whose send is refused, while an earlier one is unaccounted for', () => {
  const rows = SERVERS.flatMap(([server, mode, habits]) =>
    ['meets the limit', 'is refused for a hiccup'].map((next): [string, string, Mode, AgentHabits] => [
      next,
      server,
      mode,
      habits,
    ]),
  );

  test.each(rows)('%s on a server %s: a %s message lands once', async (next, server, mode, habits) => {
    const successors: Successor[] = ['knowingAll', 'knowingNothing', 'muchLater'];
    for (const death of ['left', 'look'] as const) {
      await expectToHold(cellsOfTheDying([server, mode, habits], death, successors, NEXT[next]!));
    }
  });
});

describe('reads that fail for a while after the first send do not make it land twice', () => {
  test.each(SERVERS)('on a server %s (%s)', async (_server, mode, habits) => {
    await expectToHold(cells());

    function* cells(): Iterable<[string, Cell]> {
      const fates = FATE_NAMES.filter((name) => canHold(FATES[name], habits));
      for (const { script, name } of possibleViews(mode, habits, fates, VIEW_NAMES)) {
        for (const outOfReachMs of [1_000, 20_000]) {
          yield [`${name}, out of reach for ${outOfReachMs} ms`, { habits, mode, scripts: [script], outOfReachMs }];
        }
      }
    }
  });
});

describe('a request that arrives late, after another of its id has begun and failed', () => {
  const rows = SERVERS.filter(hasTraces);
  const usesIdsUp = ([, , { failedSendsUseUpIds }]: (typeof rows)[number]) => failedSendsUseUpIds !== undefined;

  async function expectToLandOnce(_server: string, mode: Mode, habits: AgentHabits): Promise<void> {
    const late: SendScript = { fate: runs(40, { arrivesAfterMs: 20_000 }), view: VIEWS['a break at once'] };
    const failing = possibleViews(mode, habits, ['begins and fails slowly'], ['it is', 'a break at once']);
    const cells = [...failing].map(({ name, script }): [string, Cell] => [
      name,
      { habits, mode, scripts: [late, script] },
    ]);
    await expectToHold(cells);
  }

  test.each(rows.filter(usesIdsUp))('is refused on a server %s (%s)', expectToLandOnce);
  test.each(rows.filter((row) => !usesIdsUp(row)))('does not land as well on a server %s (%s)', expectToLandOnce);
});

/** The trace number goes up while an exchange is looked for, too: then an earlier attempt may have come to that one as well. */
describe('a next attempt that finds the first id used up, and the next one on its way', () => {
  const rows = SERVERS.filter(([, , { failedSendsUseUpIds }]) => failedSendsUseUpIds !== undefined);

  test.each(rows)('keeps that one when its own send meets the limit: server %s (%s)', async (_server, mode, habits) => {
    const scripts: SendScript[] = [
      { fate: FATES['begins and fails slowly'], view: VIEWS['a break at once'] },
      { fate: runs(40, { arrivesAfterMs: 20_000 }), view: VIEWS.silence },
      MET_THE_LIMIT,
    ];
    const successors: Successor[] = ['knowingTheOld', 'knowingNothing', 'muchLater'];
    await expectToHold(
      successors.map((successor) => [successor, { habits, mode, scripts, death: 'left2', successor }]),
    );
  });
});

/** Each refusal may have used its id up; none of them counts as a failure of the exchange, however many there are. */
describe('a next attempt whose sends meet the limit again and again', () => {
  test.each(SERVERS)('goes on until one lands: server %s (%s)', async (_server, mode, habits) => {
    const limit: SendScript = { fate: refused(400, 'RateLimitExceeded'), view: VIEWS['it is'] };
    const scripts = [faithful('begins and fails slowly'), ...Array<SendScript>(12).fill(limit)];
    const end = await runCell({ habits, mode, scripts, death: 'left', successor: 'knowingNothing' });
    expect(violations(end)).toEqual([]);
    expect(end.ending).toHaveProperty('found');
    expect(end.agent.sends.length).toBeGreaterThan(12);
  });
});

describe('a session that may still answer another message', () => {
  const BUSY_MS = [20_000, 90_000];

  test.each(SERVERS)('is waited for on a server %s (%s)', async (_server, mode, habits) => {
    await expectToHold(cells());

    function* cells(): Iterable<[string, Cell]> {
      const fates: FateName[] = ['lands at once', 'lands slowly', 'begins and fails at once', 'is lost on the way'];
      for (const { script, name } of possibleViews(mode, habits, fates, VIEWS_OF_THE_DYING)) {
        for (const busyMs of BUSY_MS) {
          const scripts = [script, script];
          yield [
            `${name}, busy for ${busyMs} ms`,
            { habits, mode, scripts, busyMs, request: { sessionMayBeBusy: true } },
          ];
        }
      }
    }
  });

  test.each(SERVERS)('of which nothing says so refuses for good on a server %s (%s)', async (_server, mode, habits) => {
    const { ending, agent } = await runCell({ habits, mode, scripts: [], busyMs: 20_000 });
    expect(ending).toMatchObject({ failure: { failureClass: 'giveUp', memory: { sends: 1, mayBeSent: false } } });
    expect(agent.exchanges).toHaveLength(1);
  });
});

/** What nobody can promise, and what holds all the same. */
describe('what cannot be promised', () => {
  /** The result is one that the session holds, and nothing else is left running. */
  function expectAnAnswer({ agent, ending, isRunning }: CellEnd, mostLandings: number): void {
    expect(agent.landed.map(({ result }) => result)).toContainEqual('found' in ending ? ending.found.result : ending);
    expect(agent.landed.length).toBeLessThanOrEqual(mostLandings);
    expect(isRunning).toBe(false);
  }

  const fivePages = HABITS.at(-1)![1];
  const lateFates = FATE_NAMES.filter((name) => isLate(FATES[name]));

  test.each(MODES.flatMap((mode) => lateFates.map((fate): [string, Mode] => [fate, mode])))(
    'without traces, a server cannot tell a request that %s from a new one (%s): it lands twice at most, and one is told',
    async (fateName, mode) => {
      for (const { script } of possibleViews(mode, fivePages, [fateName as FateName], VIEW_NAMES)) {
        for (const next of Object.values(NEXT)) {
          expectAnAnswer(await runCell({ habits: fivePages, mode, scripts: [script, ...next] }), 2);
        }
      }
    },
  );

  test.each(SERVERS.filter(hasTraces))(
    'a memory lost after a definite failure names an older id, so that a late request lands as well: server %s (%s)',
    async (_server, mode, habits) => {
      const late: SendScript = { fate: FATES['arrives late'], view: VIEWS['a break at once'] };
      for (const successor of ['knowingAll', 'knowingTheOld', 'knowingNothing'] as const) {
        const scripts = [MET_THE_LIMIT, late];
        const end = await runCell({ habits, mode, scripts, death: 'left2', successor });
        if (successor === 'knowingNothing') expectAnAnswer(end, 2);
        // The last word of a try that failed is written before it fails, so this is how it goes.
        else expect(violations(end)).toEqual([]);
      }
    },
  );

  test.each(SERVERS)(
    'content that lags for longer than it is looked at cannot be told from a failure: server %s (%s)',
    async (_server, mode, habits) => {
      for (const viewName of ['it is', 'a break at the end'] as const) {
        const fate = runs(40, { contentLagMs: 5_000 });
        expectAnAnswer(await runCell({ habits, mode, scripts: [{ fate, view: VIEWS[viewName] }] }), 2);
      }
    },
  );

  test.each(SERVERS)(
    'a gateway that says 429 and lets the request through is believed: server %s (%s)',
    async (_server, mode, habits) => {
      expectAnAnswer(
        await runCell({ habits, mode, scripts: [{ fate: FATES['lands at once'], view: VIEWS['a 429'] }] }),
        2,
      );
    },
  );

  test.each(SERVERS.filter(([, , { failedSendsUseUpIds }]) => failedSendsUseUpIds === undefined))(
    'a request that arrives after its message has failed can land; the failure says that it may: server %s (%s)',
    async (_server, mode, habits) => {
      const fate: Fate = { kind: 'runs', takesMs: 40, ends: 'lands', arrivesAfterMs: 600_000 };
      const scripts: SendScript[] = [{ fate, view: VIEWS['a break at once'] }, faithful('is refused for its length')];
      const { ending, settled, agent } = await runCell({ habits, mode, scripts });
      expect(ending).toMatchObject({ failure: { failureClass: 'overflow', memory: { mayBeSent: true } } });
      expect(settled).toEqual({ status: 'cancelled', ...(mode === 'blocking' && { mayStillRun: true }) });
      expect(agent.landed).toHaveLength(1);
    },
  );
});

/** What clients did at the agent, in words; the same several times over is told once. */
function actionsOf({ actions }: ScriptedAgent): string[] {
  const numberOf = new Map([0, 1, 2, 3, 4].map((n) => [traceIdOf(n), n]));
  const words = actions.map(({ what, traceId }) => (traceId === undefined ? what : `${what} ${numberOf.get(traceId)}`));
  return words.filter((word, position) => word !== words[position - 1]);
}

/** Has the agent take up our message, as an earlier attempt sent it. */
function sentBefore(agent: ScriptedAgent, mode: Mode, fate: Running, traceNumber = 0): AgentExchange {
  const { text, ids } = requestIn(mode);
  return agent.begin(
    {
      mode,
      text,
      ...(mode === 'streaming' && { messageId: ids.messageId }),
      ...(agent.habits.serverKind === 'withTraces' && { traceId: traceIdOf(traceNumber) }),
    },
    fate,
  );
}

/** A situation that a next attempt finds, and what it does in it: actions at the agent, then how its try ends. */
interface Decision {
  habits?: Partial<AgentHabits>;
  memory?: Partial<ExchangeMemory>;
  request?: Partial<ExchangeRequest>;
  /** What became of the earlier send. */
  before: (agent: ScriptedAgent, mode: Mode) => void;
  withTraces?: Record<Mode, string[]>;
  fivePages?: Record<Mode, string[]>;
}

const both = (actions: string[]): Record<Mode, string[]> => ({ streaming: actions, blocking: actions });
/** Without traces: a cancel tells whether a stream still runs; what blocks is waited for. */
const SENDS_ANEW = { streaming: ['missedCancel', 'send', 'answered'], blocking: ['send', 'answered'] };

const DECISIONS: Record<string, Decision> = {
  'never arrived': {
    before: () => undefined,
    withTraces: both(['send 0', 'answered']),
    fivePages: SENDS_ANEW,
  },
  'is answering, and lands': {
    before: (agent, mode) => sentBefore(agent, mode, runs(6_000)),
    withTraces: both(['adopted']),
    fivePages: { streaming: ['cancel', 'send', 'answered'], blocking: ['adopted'] },
  },
  'is answering, and fails with its id used up': {
    habits: { failedSendsUseUpIds: 'shown' },
    before: (agent, mode) => sentBefore(agent, mode, runs(6_000, { ends: 'fails' })),
    withTraces: both(['send 1', 'answered']),
    fivePages: { streaming: ['cancel', 'send', 'answered'], blocking: ['send', 'answered'] },
  },
  'is answering, and its trace does not show': {
    habits: { traceLagMs: 3_600_000 },
    before: (agent, mode) => sentBefore(agent, mode, runs(6_000)),
    withTraces: both(['send 0', 'adopted']),
  },
  'is answering for longer than a call may take': {
    before: (agent, mode) => sentBefore(agent, mode, runs(80_000)),
    withTraces: {
      streaming: ['cancel', 'send 1', 'answered'],
      blocking: ['failed: ambiguous ExchangeOverdue, trace number 0, may be sent'],
    },
    fivePages: {
      streaming: ['cancel', 'send', 'answered'],
      blocking: ['send', 'failed: transient SessionBusy, trace number 0, may be sent'],
    },
  },
  'has landed': {
    before: (agent, mode) => sentBefore(agent, mode, runs(0)),
    withTraces: both(['adopted']),
    fivePages: both(['adopted']),
  },
  'has landed, and the content lags': {
    before: (agent, mode) => sentBefore(agent, mode, runs(0, { contentLagMs: 1_500 })),
    withTraces: both(['adopted']),
    fivePages: { streaming: ['missedCancel', 'adopted'], blocking: ['adopted'] },
  },
  'has landed, and its trace is not shown': {
    habits: { traceLagMs: 3_600_000 },
    before: (agent, mode) => sentBefore(agent, mode, runs(0)),
    withTraces: both(['adopted']),
  },
  'has landed under a later id than is remembered': {
    before: (agent, mode) => sentBefore(agent, mode, runs(0), 2),
    withTraces: both(['adopted']),
  },
  'has landed under an earlier id than is remembered': {
    memory: { traceNumber: 2 },
    before: (agent, mode) => sentBefore(agent, mode, runs(0), 1),
    withTraces: both(['adopted']),
  },
  'has failed with its id used up': {
    habits: { failedSendsUseUpIds: 'shown' },
    before: (agent, mode) => sentBefore(agent, mode, runs(0, { ends: 'fails' })),
    withTraces: both(['send 1', 'answered']),
    fivePages: SENDS_ANEW,
  },
  'has failed, and its id is free again': {
    before: (agent, mode) => sentBefore(agent, mode, runs(0, { ends: 'fails' })),
    withTraces: both(['send 0', 'answered']),
    fivePages: SENDS_ANEW,
  },
  'was refused with its id used up, and the two after it': {
    before: (agent) => [0, 1, 2].forEach((n) => agent.useUpId(traceIdOf(n), 'shown')),
    withTraces: both(['send 3', 'answered']),
  },
  'was refused with its id used up, which does not show': {
    before: (agent) => agent.useUpId(traceIdOf(0), 'hidden'),
    withTraces: both(['send 0', 'failed: transient SessionTraceIdAlreadyExists, trace number 1, may be sent']),
  },
  'found its session gone': {
    before: (agent) => void (agent.isGone = true),
    withTraces: both(['failed: expired SessionNotFound, trace number 0, may be sent']),
    fivePages: both(['failed: expired SessionNotFound, trace number 0, may be sent']),
  },
  'never arrived, and an older exchange has its text': {
    request: { exchangesBefore: 1 },
    before: (agent, mode) => agent.begin({ mode, text: requestIn(mode).text }, runs(0)),
    fivePages: SENDS_ANEW,
  },
};

describe('a next attempt that may find its message sent already', () => {
  const rows = Object.entries(DECISIONS).flatMap(([name, { before, habits, memory, request, ...expected }]) =>
    (['withTraces', 'fivePages'] as const).flatMap((serverKind) =>
      MODES.filter(() => expected[serverKind] !== undefined).map((mode) => ({
        name,
        serverKind,
        mode,
        habits: { serverKind, ...habits },
        memory: memoryWith(memory ?? {}),
        request: requestIn(mode, request),
        before,
        actions: expected[serverKind]![mode],
      })),
    ),
  );

  test.each(rows)(
    'which $name ($serverKind, $mode): $actions',
    async ({ habits, mode, memory: known, request, before, actions }) => {
      const agent = new ScriptedAgent(habits);
      before(agent, mode);
      const earlier = new Set(agent.exchanges);
      const how = await passTime(
        new Worker(agent).run(request, { ...known, mayBeSent: true }).then(
          ({ result }) => ([...earlier].some((one) => isDeepStrictEqual(one.result, result)) ? 'adopted' : 'answered'),
          ({ failureClass, error, memory }: ExchangeFailure) =>
            `failed: ${failureClass} ${error.errorName}, trace number ${memory.traceNumber}` +
            (memory.mayBeSent ? ', may be sent' : ''),
        ),
      );
      expect([...actionsOf(agent), how]).toEqual(actions);
    },
  );
});

describe('a refused send', () => {
  const byProxy: SendScript = MET_THE_LIMIT;
  const unconnected: SendScript = { fate: { kind: 'lost' }, view: VIEWS['no connection'] };
  const REFUSALS: [name: string, script: SendScript, failureClass: string, counts: Partial<ExchangeMemory>][] = [
    ['RateLimitExceeded', faithful('is refused by the limit'), 'wait', { waits: 1 }],
    ['a 429', byProxy, 'wait', { waits: 1 }],
    ['SessionExecutionFailed', faithful('is refused for a hiccup'), 'transient', { transientFailures: 1 }],
    ['no connection', unconnected, 'transient', { transientFailures: 1 }],
    ['ContextSizeExceededLimit', faithful('is refused for its length'), 'overflow', {}],
    ['InvalidParameter', faithful('is refused for a parameter'), 'giveUp', {}],
    ['a 401', faithful('is refused for its token'), 'auth', {}],
    ['a 403', faithful('is refused for a permission'), 'giveUp', {}],
  ];

  describe.each(MODES)('(%s)', (mode) => {
    const failureOf = (scripts: SendScript[]) =>
      passTime(new Worker(new ScriptedAgent(HABITS[0]![1], scripts)).run(requestIn(mode), newExchangeMemory()));

    test.each(REFUSALS)(
      'with %s is known not to have landed: the next id',
      async (_name, script, failureClass, counts) => {
        await expect(failureOf([script])).rejects.toMatchObject({
          failureClass,
          memory: memoryWith({ sends: 1, traceNumber: 1, mayBeSent: false, ...counts }),
        });
      },
    );

    test.each(REFUSALS)(
      'with %s says nothing of one before it that was lost: the same id',
      async (_name, script, failureClass, counts) => {
        const lost: SendScript = { fate: { kind: 'lost' }, view: VIEWS['a break at once'] };
        const transientFailures = 1 + (counts.transientFailures ?? 0);
        await expect(failureOf([lost, script])).rejects.toMatchObject({
          failureClass,
          memory: memoryWith({ sends: 2, traceNumber: 0, mayBeSent: true, ...counts, transientFailures }),
        });
      },
    );

    test('in a way that no page documents is final, but not while one before it may run', async () => {
      const undocumented = faithful('is refused in a way that no page documents');
      await expect(failureOf([undocumented])).rejects.toMatchObject({
        failureClass: 'giveUp',
        memory: memoryWith({ sends: 1, traceNumber: 1, mayBeSent: false }),
      });
      const lost: SendScript = { fate: { kind: 'lost' }, view: VIEWS['a break at once'] };
      await expect(failureOf([lost, undocumented])).resolves.toMatchObject({ memory: { sends: 3, traceNumber: 0 } });
    });
  });
});

/** What is done beside an open call on which nothing comes; the call itself would go on to its limit. */
describe('a silent call whose message', () => {
  const [ADOPTED, SENT_AGAIN, LEFT_OPEN] = ['is adopted', 'is sent again', 'is left open to its limit'] as const;
  type End = typeof ADOPTED | typeof SENT_AGAIN | typeof LEFT_OPEN;
  const SILENCES: [fate: FateName, withTraces: End, fivePages: End][] = [
    ['lands at once', ADOPTED, ADOPTED],
    ['lands slowly', ADOPTED, ADOPTED],
    ['begins and fails slowly', SENT_AGAIN, LEFT_OPEN],
    ['is lost on the way', SENT_AGAIN, LEFT_OPEN],
  ];
  const rows = SILENCES.flatMap(([fateName, withTraces, fivePages]) =>
    MODES.flatMap((mode) => [
      { fateName, mode, serverKind: 'withTraces' as const, end: withTraces },
      { fateName, mode, serverKind: 'fivePages' as const, end: fivePages },
    ]),
  );

  test.each(rows)('$fateName $end ($serverKind, $mode)', async ({ fateName, serverKind, mode, end }) => {
    const agent = new ScriptedAgent({ serverKind }, [{ fate: FATES[fateName], view: VIEWS.silence }]);
    const request = requestIn(mode);
    const startedMs = Date.now();
    await passTime(new Worker(agent).run(request, newExchangeMemory()));
    const isLimitReached = Date.now() - startedMs >= request.callTimeoutMs;
    expect(isLimitReached ? LEFT_OPEN : agent.sends.length === 1 ? ADOPTED : SENT_AGAIN).toBe(end);
  });
});

describe('a try that is told to stop touches nothing more at the agent, and ends', () => {
  const MOMENTS: [moment: Moment, when: string, fate: FateName, view: ViewName][] = [
    ['left', 'right after its send', 'lands slowly', 'it is'],
    ['halfway', 'in the middle of the answer', 'lands slowly', 'it is'],
    ['look', 'while it looks for the exchange', 'lands slowly', 'a break at once'],
    ['look', 'while it looks after a silence', 'lands slowly', 'silence'],
  ];

  async function expectToStop(moment: Moment, script: SendScript, mode: Mode, habits: AgentHabits): Promise<void> {
    const agent = new ScriptedAgent(habits, [script]);
    const worker = new Worker(agent);
    let actions: number | undefined;
    agent.onMoment = (reached) => {
      if (reached !== moment || actions !== undefined) return;
      actions = agent.actions.length;
      worker.stop();
    };
    await expect(passTime(worker.run(requestIn(mode), newExchangeMemory()))).rejects.toBe(STOPPED);
    await passTime();
    expect(agent.actions).toHaveLength(actions!);
  }

  describe.each(SERVERS)('on a server %s (%s)', (_server, mode, habits) => {
    test.each(MOMENTS)('at the moment "%s": %s', (moment, _when, fateName, viewName) =>
      expectToStop(moment, { fate: FATES[fateName], view: VIEWS[viewName] }, mode, habits),
    );
  });

  test('while it cancels a lost exchange, on a server of the five pages', () =>
    expectToStop('cancel', { fate: FATES['is lost on the way'], view: VIEWS['a break at once'] }, 'streaming', {
      serverKind: 'fivePages',
    }));
});

/** How an exchange stands when it is cancelled, and what `cancel` says of it. */
interface CancelCase {
  habits?: Partial<AgentHabits>;
  memory?: Partial<ExchangeMemory>;
  before: (agent: ScriptedAgent, mode: Mode) => void;
  /** `ended`: by this cancel, so that its response decides; `unstoppable`: a blocking one, which may still run. */
  streaming: CancelExpectation;
  blocking: CancelExpectation;
  fivePages?: Partial<Record<Mode, CancelExpectation>>;
}
type CancelExpectation = 'ended' | 'cancelled' | 'unstoppable' | 'answered' | 'interrupted';

/** What the caller's clean-up knows: that it may have been sent. */
const MAY_BE_SENT: Partial<ExchangeMemory> = { mayBeSent: true };

const CANCEL_CASES: Record<string, CancelCase> = {
  'was never sent': {
    memory: {},
    before: () => undefined,
    streaming: 'cancelled',
    blocking: 'cancelled',
  },
  'may have been sent, and was lost': {
    before: () => undefined,
    streaming: 'cancelled',
    blocking: 'unstoppable',
  },
  'is on its way': {
    before: (agent, mode) => setTimeout(() => sentBefore(agent, mode, runs(6_000)), 700),
    streaming: 'ended',
    blocking: 'unstoppable',
  },
  'has begun, too short ago to be cancelled': {
    habits: { cancelTooEarlyMs: 1_500 },
    before: (agent, mode) => sentBefore(agent, mode, runs(6_000)),
    streaming: 'ended',
    blocking: 'unstoppable',
  },
  'is answering': {
    before: (agent, mode) => sentBefore(agent, mode, runs(6_000)),
    streaming: 'ended',
    blocking: 'unstoppable',
  },
  'is answering under a later id than is remembered': {
    habits: { failedSendsUseUpIds: 'shown' },
    before: (agent, mode) => {
      for (const n of [0, 1]) sentBefore(agent, mode, runs(0, { ends: 'fails' }), n);
      sentBefore(agent, mode, runs(6_000), 2);
    },
    streaming: 'ended',
    blocking: 'unstoppable',
  },
  'is answering, and the agent is out of reach for a while': {
    before: (agent, mode) => {
      agent.outOfReachUntilMs = Date.now() + 5_000;
      sentBefore(agent, mode, runs(20_000));
    },
    streaming: 'ended',
    blocking: 'unstoppable',
  },
  'lands while the cancel is on its way': {
    before: (agent, mode) => sentBefore(agent, mode, runs(1)),
    streaming: 'answered',
    blocking: 'answered',
  },
  'has landed': {
    before: (agent, mode) => sentBefore(agent, mode, runs(0)),
    streaming: 'answered',
    blocking: 'answered',
  },
  'has landed, and the content lags': {
    before: (agent, mode) => sentBefore(agent, mode, runs(0, { contentLagMs: 1_500 })),
    streaming: 'answered',
    blocking: 'answered',
    fivePages: { blocking: 'unstoppable' },
  },
  'has landed under a later id than is remembered': {
    before: (agent, mode) => sentBefore(agent, mode, runs(0), 2),
    streaming: 'answered',
    blocking: 'answered',
  },
  'has failed with its id used up': {
    habits: { failedSendsUseUpIds: 'shown' },
    before: (agent, mode) => sentBefore(agent, mode, runs(0, { ends: 'fails' })),
    streaming: 'cancelled',
    blocking: 'cancelled',
    fivePages: { blocking: 'unstoppable' },
  },
  'has failed, and its id is free again': {
    before: (agent, mode) => sentBefore(agent, mode, runs(0, { ends: 'fails' })),
    streaming: 'cancelled',
    blocking: 'unstoppable',
  },
  'found its session gone': {
    before: (agent) => void (agent.isGone = true),
    streaming: 'cancelled',
    blocking: 'cancelled',
  },
};

describe('cancel() of an exchange that', () => {
  const RESPONSES: [name: string, response: string | undefined][] = [
    ['without a response', undefined],
    ['with a response', 'So far'],
    ['with an empty response', ''],
  ];
  const rows = Object.entries(CANCEL_CASES).flatMap(([name, { fivePages, ...one }]) =>
    (['withTraces', 'fivePages'] as const).flatMap((serverKind) =>
      MODES.map((mode) => ({
        ...one,
        name,
        serverKind,
        mode,
        habits: { serverKind, ...one.habits },
        says: (serverKind === 'fivePages' ? fivePages?.[mode] : undefined) ?? one[mode],
      })),
    ),
  );

  describe.each(rows)('$name ($serverKind, $mode): $says', ({ habits, mode, before, memory = MAY_BE_SENT, says }) => {
    test.each(RESPONSES)('%s, once and again', async (_name, response) => {
      const agent = new ScriptedAgent(habits);
      before(agent, mode);
      const cancel = () => passTime(new Worker(agent).protocol.cancel(requestIn(mode), memoryWith(memory), response));
      const first = await cancel();
      const statuses = agent.exchanges.map(({ status }) => status);
      const last = agent.exchanges.at(-1)?.result;
      const isKept = says === 'ended' && response !== undefined;
      if (says === 'unstoppable') expect(first).toEqual({ status: 'cancelled', mayStillRun: true });
      else if (isKept) expect(first).toEqual({ status: 'interrupted', result: last });
      else if (says === 'answered') expect(first).toEqual({ status: 'answered', result: last });
      else expect(first).toEqual({ status: 'cancelled' });
      if (says === 'ended') expect(statuses.at(-1)).toBe(isKept ? 'interrupted' : 'cancelled');
      if (isKept) expect(last).toMatchObject({ agentMarkdownResponse: response, interruptedOutput: true });
      if (says !== 'unstoppable') expect(agent.running).toBeUndefined();
      if (memory !== MAY_BE_SENT) expect(agent.actions).toEqual([]);

      // Whoever was not told how it ended may ask again: nothing is changed by that.
      const again = await cancel();
      if (says !== 'unstoppable') expect(again).toEqual(first);
      await passTime();
      if (says !== 'unstoppable') expect(agent.exchanges.map(({ status }) => status)).toEqual(statuses);
      else expect(agent.landed.length).toBe(agent.exchanges.filter(({ status }) => status !== 'failed').length);
      expect(agent.exchanges.length).toBe(statuses.length || agent.exchanges.length);
    });
  });

  test.each(['withTraces', 'fivePages'] as const)(
    'has landed while nobody has patience left is found, although the content lags (%s)',
    async (serverKind) => {
      const agent = new ScriptedAgent({ serverKind });
      const { result } = sentBefore(agent, 'streaming', runs(0, { contentLagMs: 1_500 }));
      const { protocol } = new Worker(agent);
      const ended = await passTime(protocol.cancel(requestIn('streaming'), memoryWith(MAY_BE_SENT), undefined, 0));
      expect(ended).toEqual({ status: 'answered', result });
    },
  );

  test('answers, but takes no cancel for long, is told to run on where traces show it, and only there', async () => {
    for (const serverKind of ['withTraces', 'fivePages'] as const) {
      const agent = new ScriptedAgent({ serverKind, cancelTooEarlyMs: 60_000 });
      sentBefore(agent, 'streaming', runs(80_000));
      const ended = await passTime(new Worker(agent).protocol.cancel(requestIn('streaming'), memoryWith(MAY_BE_SENT)));
      expect(ended).toEqual({ status: 'cancelled', ...(serverKind === 'withTraces' && { mayStillRun: true }) });
      await passTime();
    }
  });

  test.each(SERVERS)(
    'cannot be reached fails, and leaves the rest to a later one: server %s (%s)',
    async (_s, mode, habits) => {
      const agent = new ScriptedAgent(habits);
      sentBefore(agent, mode, runs(300_000));
      agent.outOfReachUntilMs = Date.now() + 120_000;
      const cancel = () => new Worker(agent).protocol.cancel(requestIn(mode), memoryWith(MAY_BE_SENT));
      await expect(passTime(cancel())).rejects.toMatchObject({ name: 'AgentsApiError', noAnswer: true });
      await passTime(pause(120_000));
      const ended = await passTime(cancel());
      expect(ended).toEqual({ status: 'cancelled', ...(mode === 'blocking' && { mayStillRun: true }) });
      expect(agent.running?.mode).toBe(mode === 'blocking' ? 'blocking' : undefined);
    },
  );
});
