/**
 * The table of the design, "Cancellation, by its reason", whole: whoever cancels, however and in whatever moment, what is recorded is
 * what the session holds, every accepted message has one outcome, and nothing goes on generating.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { exchangeProgress, type ConversationSettings } from '../../src/client/index.js';
import type { FaultRule, OperationName, SimulatorOptions } from '../../src/simulator/index.js';
import { testsAtOnce } from '../support/at-once.js';
import { outcomesOf, untilAsked } from '../support/conversation-check.js';
import { ConversationStage, type Ending, type RunEnd } from '../support/conversation-stage.js';
import { startRig, until, type Rig } from '../support/rig.js';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.js';

type Act = (stage: ConversationStage) => Promise<unknown>;

const cancelRun: Act = ({ handle }) => handle.cancel();
const terminate: Act = ({ handle }) => handle.terminate('the table asks for it');
const cancelExchange: Act = ({ handle, subject }) => handle.cancelExchange({ messageId: subject });
const respond =
  (response: string): Act =>
  ({ handle, subject }) =>
    handle.cancelExchange({ messageId: subject, response });
/** All at once; one that comes after the end of the run is refused, and that is all right. */
const atOnce =
  (...acts: Act[]): Act =>
  (stage) =>
    Promise.allSettled(acts.map((act) => act(stage)));

/** What is done, and how the run ends by it. */
const ACTS = {
  'a cancel of the run': { act: cancelRun, run: 'cancelled' },
  'a terminate': { act: terminate, run: 'terminated' },
  'a cancelExchange': { act: cancelExchange, run: 'goesOn' },
  'a cancelExchange with a response': { act: respond('Enough.'), run: 'goesOn' },
} as const satisfies Record<string, { act: Act; run: RunEnd }>;
type ActName = keyof typeof ACTS;
const ACT_NAMES = Object.keys(ACTS) as ActName[];

const TAKEN_AWAY: Ending = { recorded: ['cancelled'], atAgent: ['cancelled'] };
const KEPT: Ending = { recorded: ['interrupted'], atAgent: ['interrupted'] };
const NEVER_SENT: Ending = { recorded: ['cancelled'], atAgent: [''] };
const ANSWERED: Ending = { recorded: ['answered'], atAgent: ['landed'] };
const UNSTOPPABLE: Ending = { recorded: ['cancelled'], atAgent: ['landed'], mayStillRun: true };

/** Whichever was first. */
const oneOf = (...ends: Ending[]): Ending => ({
  recorded: ends.flatMap(({ recorded }) => recorded),
  atAgent: ends.flatMap(({ atAgent }) => atAgent),
});

/** What comes of each act. */
type Endings = Record<ActName, Ending>;
const endings = (without: Ending, withResponse = without): Endings => ({
  'a cancel of the run': without,
  'a terminate': without,
  'a cancelExchange': without,
  'a cancelExchange with a response': withResponse,
});
const IN_MID_STREAM = endings(TAKEN_AWAY, KEPT);
const orAnswered = (ending: Ending): Ending => oneOf(ending, ANSWERED);
const AT_ITS_END = endings(orAnswered(TAKEN_AWAY), orAnswered(KEPT));

/** One cell of the table: a conversation is brought to its moment, something is done, and the end is checked. */
interface Cell {
  bring: () => Promise<ConversationStage>;
  act: Act;
  ending: Ending;
  run: RunEnd;
}

/** A moment as a row of the table: a cell for each act. */
function rowOf(
  moment: string,
  bring: Cell['bring'],
  ends: Endings = IN_MID_STREAM,
  acts: readonly ActName[] = ACT_NAMES,
): Record<string, Cell> {
  return Object.fromEntries(acts.map((name) => [`${name} ${moment}`, { bring, ...ACTS[name], ending: ends[name] }]));
}

async function runCell({ bring, act, ending, run }: Cell): Promise<void> {
  const stage = await bring();
  await act(stage);
  await stage.check(ending, run);
}

const AT_ONCE = { width: 16, timeoutMs: 90_000 };

/** Agents with troubles of their own, by name: none gets in another's way, and each limit is learned by itself. */
const agent = (name: string) => `ri.aip-agents..agent.${name}`;
const SLOW_TO_OPEN = agent('slow-to-open');
const LIMITED = [0, 1, 2, 3, 4, 5].map((n) => agent(`limited-${n}`));
const FAILING = agent('failing');
const LOST = agent('lost-from-sight');
const BUSY = ACT_NAMES.map((_, n) => agent(`busy-${n}`));
const agents = (...rids: string[]): NonNullable<SimulatorOptions['agents']> =>
  rids.map((agentRid) => ({
    agentRid,
    displayName: agentRid,
    versions: [{ version: '1.0', isPublished: true, parameters: {} }],
  }));

let rig: Rig;
/** Begins what happens between two workers: it takes the longest, and mostly waits. */
let beginBetween = (): void => undefined;
beforeAll(async () => {
  beginBetween();
  const fault = (operation: OperationName, agentRid: string, what: FaultRule['fault']): FaultRule => ({
    operation,
    // The question whether the conversation is still usable is none of this row's troubles.
    match: { agentRid, ...(operation === 'streamingContinue' && { textIncludes: 'Trouble?' }) },
    fault: what,
  });
  rig = await startRig({
    simulator: {
      agents: agents(SLOW_TO_OPEN, FAILING, LOST, ...LIMITED),
      faults: [
        fault('createSession', SLOW_TO_OPEN, { kind: 'delay', ms: 3_000 }),
        fault('streamingContinue', FAILING, { kind: 'error', errorName: 'SessionExecutionFailed' }),
        fault('streamingContinue', LOST, { kind: 'status', status: 502, lands: true }),
        fault('getSessionTrace', LOST, { kind: 'status', status: 503 }),
        ...LIMITED.map((limited) =>
          fault('streamingContinue', limited, { kind: 'error', errorName: 'RateLimitExceeded' }),
        ),
      ],
    },
  });
});
afterEach(() => rig.simulator.changeSettings({ cancelTooEarlyMs: 0, contentLagMs: 0 }));
afterAll(() => rig.close());

const LONG = '[takes 200s] Long?';

/** A conversation with one message, as soon as that is at the agent. */
async function asked(text: string, settings: ConversationSettings = {}): Promise<ConversationStage> {
  const stage = new ConversationStage(rig, settings);
  await stage.ask(text);
  await stage.untilAtAgent('answering');
  return stage;
}

async function queued(): Promise<ConversationStage> {
  const stage = await asked(LONG);
  await stage.ask('Queued?');
  return stage;
}

async function openingSession(): Promise<ConversationStage> {
  const stage = new ConversationStage(rig, { agentRid: SLOW_TO_OPEN });
  await stage.ask('Too soon?');
  await untilAsked('it opens its session', async () => (await stage.handle.status()).phase === 'openingSession');
  return stage;
}

async function inMidStream(): Promise<ConversationStage> {
  const stage = await asked(LONG);
  await stage.untilText();
  return stage;
}

const blocking = () => asked('[takes 6s] Unstoppable?', { mode: 'blocking' });

/** In the very moment in which the answer lands, or has landed. */
async function atItsEnd(when: 'landing' | 'landed'): Promise<ConversationStage> {
  const stage = await asked('[takes 1500ms] Short?');
  const landsAt = Date.parse(stage.sends()[0]?.startedAt ?? '') + 1_500;
  if (when === 'landing') await until('it is about to land', () => Date.now() >= landsAt - 40);
  else await until('it has landed', () => stage.atAgent() === 'landed');
  return stage;
}

/** In the moment before its send fails: too late for a heartbeat to tell of a cancel. */
async function failing(): Promise<ConversationStage> {
  const stage = await asked('[takes 900ms] [fail SessionExecutionFailed] Fails?');
  const failsAt = Date.parse(stage.sends()[0]?.startedAt ?? '') + 900;
  await until('it is about to fail', () => Date.now() >= failsAt - 250);
  return stage;
}

async function inBackoff(agentRid: string, text = 'Trouble?'): Promise<ConversationStage> {
  const stage = new ConversationStage(rig, { agentRid });
  await stage.ask(text);
  await stage.untilActivity('waits for its next try, which is not about to come', ({ state, nextAttemptAt }) => {
    return state === 'scheduled' && (nextAttemptAt?.getTime() ?? 0) > Date.now() + 1_000;
  });
  return stage;
}

const unusedLimited = [...LIMITED];
const inBackoffByLimit = () => inBackoff(unusedLimited.pop() ?? '');
const inBackoffByFailure = () => inBackoff(FAILING);
/** The exchange runs at the agent: the answer to its send was lost, and its trace cannot be read. */
const lostFromSight = () => inBackoff(LOST, '[takes 200s] Trouble?');

async function pausing(): Promise<ConversationStage> {
  const stage = await inMidStream();
  await stage.press('pauseActivity');
  return stage;
}

async function paused(): Promise<ConversationStage> {
  const stage = await pausing();
  await stage.untilActivity('is handed back', ({ state, lastFailure }) => {
    return state === 'paused' && lastFailure !== undefined;
  });
  return stage;
}

async function unpausing(): Promise<ConversationStage> {
  const stage = await paused();
  await stage.press('unpauseActivity');
  return stage;
}

async function landedWhilePaused(): Promise<ConversationStage> {
  const stage = await asked('[takes 5s] Unseen?');
  await stage.press('pauseActivity');
  await stage.untilAtAgent('landed');
  return stage;
}

async function resetting(): Promise<ConversationStage> {
  const stage = await inMidStream();
  await stage.press('resetActivity');
  return stage;
}

async function sentAnew(): Promise<ConversationStage> {
  const stage = await resetting();
  await stage.untilAtAgent('cancelled, answering');
  return stage;
}

const TAKEN_AWAY_TWICE: Ending = { recorded: ['cancelled'], atAgent: ['cancelled, cancelled'] };
const KEPT_THE_SECOND_TIME: Ending = { recorded: ['interrupted'], atAgent: ['cancelled, interrupted'] };
const IN_A_RESET = endings(oneOf(TAKEN_AWAY, TAKEN_AWAY_TWICE), oneOf(TAKEN_AWAY, KEPT, KEPT_THE_SECOND_TIME));
const FAILED_SEND: Ending = { recorded: ['cancelled'], atAgent: ['failed'] };
const IN_A_FAILURE = endings(oneOf(TAKEN_AWAY, FAILED_SEND), oneOf(KEPT, FAILED_SEND));
const AFTER_A_RESET = endings(TAKEN_AWAY_TWICE, KEPT_THE_SECOND_TIME);

describe('the table:', () => {
  testsAtOnce<Cell>(
    {
      ...rowOf('in the backoff after its answer was lost ends the exchange', lostFromSight),
      ...rowOf('while its activity is paused ends the exchange that goes on', paused),
      ...rowOf('as its activity is paused ends the exchange', pausing),
      ...rowOf('as its activity is unpaused ends the exchange', unpausing),
      ...rowOf('of a message that waits in the queue drops it', queued, endings(NEVER_SENT)),
      ...rowOf('while the session is opened keeps the message from being sent', openingSession, endings(NEVER_SENT)),
      ...rowOf('in mid-stream ends the exchange', inMidStream),
      ...rowOf('of a blocking exchange stops waiting, and says that it may land', blocking, endings(UNSTOPPABLE)),
      ...rowOf('as the answer lands tells which was first', () => atItsEnd('landing'), AT_ITS_END),
      ...rowOf('when the answer has landed tells which was first', () => atItsEnd('landed'), AT_ITS_END),
      ...rowOf('as its send fails leaves it at that', failing, IN_A_FAILURE),
      ...rowOf('in the backoff after RateLimitExceeded sends no more', inBackoffByLimit, endings(NEVER_SENT)),
      ...rowOf('in the backoff after SessionExecutionFailed sends no more', inBackoffByFailure, endings(NEVER_SENT)),
      ...rowOf('after the answer landed, its activity being paused, finds it', landedWhilePaused, endings(ANSWERED)),
      ...rowOf('as its activity is reset ends the exchange', resetting, IN_A_RESET),
      ...rowOf('after a reset ends the second send', sentAnew, AFTER_A_RESET),
    },
    runCell,
    AT_ONCE,
  );
});

/** Kept with the text that had come. */
const KEPT_WITH_TEXT: Ending = { ...KEPT, hasText: true };

describe('the next message, handed in', () => {
  const next =
    (whenBusy: 'interrupt' | 'rollback'): Act =>
    async (stage) => {
      const { subject } = stage;
      await stage.submit('Next?', whenBusy);
      stage.subject = subject;
    };
  const row = (
    moment: string,
    bring: Cell['bring'],
    interrupted: Ending,
    rolledBack: Ending,
  ): Record<string, Cell> => ({
    [`to interrupt ${moment}`]: { bring, act: next('interrupt'), ending: interrupted, run: 'goesOn' },
    [`to roll back ${moment}`]: { bring, act: next('rollback'), ending: rolledBack, run: 'goesOn' },
  });
  testsAtOnce<Cell>(
    {
      ...row('while the session is opened', openingSession, NEVER_SENT, NEVER_SENT),
      ...row('in mid-stream', inMidStream, KEPT_WITH_TEXT, TAKEN_AWAY),
      ...row('a blocking exchange', blocking, UNSTOPPABLE, UNSTOPPABLE),
      ...row('as the answer lands', () => atItsEnd('landing'), orAnswered(KEPT), orAnswered(TAKEN_AWAY)),
      ...row('in the backoff after RateLimitExceeded', inBackoffByLimit, NEVER_SENT, NEVER_SENT),
      ...row('in the backoff after its answer was lost', lostFromSight, KEPT, TAKEN_AWAY),
      ...row('while its activity is paused', paused, KEPT_WITH_TEXT, TAKEN_AWAY),
      ...row('after a reset', sentAnew, KEPT_THE_SECOND_TIME, TAKEN_AWAY_TWICE),
    },
    runCell,
    {
      ...AT_ONCE,
      // Its text so far is in the heartbeat of an attempt that has ended, and Temporal drops that with the activity.
      failing: ['to interrupt while its activity is paused'],
    },
  );
});

describe('twice at once, in mid-stream:', () => {
  const cell = (act: Act, ending: Ending, run: RunEnd): Cell => ({ bring: inMidStream, act, ending, run });
  testsAtOnce<Cell>(
    {
      'two cancels of the run': cell(atOnce(cancelRun, cancelRun), TAKEN_AWAY, 'cancelled'),
      'a cancel of the run and a terminate': cell(atOnce(cancelRun, terminate), TAKEN_AWAY, 'terminated'),
      'a terminate and a cancel of the run': cell(atOnce(terminate, cancelRun), TAKEN_AWAY, 'terminated'),
      'a cancel of the run and a cancelExchange': cell(atOnce(cancelRun, cancelExchange), TAKEN_AWAY, 'cancelled'),
      'a cancel of the run and a cancelExchange with a response': cell(
        atOnce(cancelRun, respond('Enough.')),
        oneOf(TAKEN_AWAY, KEPT),
        'cancelled',
      ),
      'two cancelExchanges': cell(atOnce(cancelExchange, cancelExchange), TAKEN_AWAY, 'goesOn'),
      'a cancelExchange and one with a response': cell(
        atOnce(cancelExchange, respond('Enough.')),
        oneOf(TAKEN_AWAY, KEPT),
        'goesOn',
      ),
      'two cancelExchanges with responses of their own': cell(
        atOnce(respond('Enough.'), respond('No more.')),
        KEPT,
        'goesOn',
      ),
      'a cancelExchange with a response and a terminate': cell(
        atOnce(respond('Enough.'), terminate),
        oneOf(TAKEN_AWAY, KEPT),
        'terminated',
      ),
      'a cancelExchange with a response, its activity paused and a cancel of the run': cell(
        atOnce(respond('Enough.'), (stage) => stage.press('pauseActivity'), cancelRun),
        oneOf(TAKEN_AWAY, KEPT),
        'cancelled',
      ),
      'a reset of its activity and a cancel of the run': cell(
        atOnce((stage) => stage.press('resetActivity'), cancelRun),
        oneOf(TAKEN_AWAY, TAKEN_AWAY_TWICE),
        'cancelled',
      ),
    },
    runCell,
    AT_ONCE,
  );
});

describe('before the agent has begun,', () => {
  testsAtOnce<Cell>(
    rowOf('is tried again until it ends the exchange', async () => {
      rig.simulator.changeSettings({ cancelTooEarlyMs: 2_500 });
      return asked(LONG);
    }),
    async (cell) => {
      await runCell(cell);
      expect(rig.simulator.summary().totals.cancelsMissed).toBeGreaterThan(0);
    },
    AT_ONCE,
  );
});

describe('while the content lags,', () => {
  const lagging = (when: 'landing' | 'landed') => async () => {
    rig.simulator.changeSettings({ contentLagMs: 700 });
    return atItsEnd(when);
  };
  testsAtOnce<Cell>(
    {
      ...rowOf('as the answer lands tells which was first', lagging('landing'), AT_ITS_END),
      ...rowOf('when the answer has landed finds it', lagging('landed'), endings(ANSWERED)),
    },
    runCell,
    AT_ONCE,
  );
});

test('what cannot be stopped is waited for by the next message, and both stand in the session', async () => {
  const stage = await asked('[takes 3000ms] Unstoppable?', { mode: 'blocking' });
  const first = stage.subject;
  await cancelExchange(stage);
  await outcomesOf(stage.handle, [first]);
  await stage.ask('And the next?');
  expect(stage.atAgent(first)).toBe('answering');
  await stage.check(ANSWERED, 'goesOn');
  expect(stage.atAgent(first)).toBe('landed');
});

describe('under load,', () => {
  /** What runs, ten that wait, and three that go ahead of them: sent as soon as the one before is accepted, or runs. */
  const cells: Record<string, { whenBusy: ('interrupt' | 'rollback')[]; pace: 'accepted' | 'running' }> = {
    'three interrupts in a row': { whenBusy: ['interrupt', 'interrupt', 'interrupt'], pace: 'accepted' },
    'three rollbacks in a row': { whenBusy: ['rollback', 'rollback', 'rollback'], pace: 'accepted' },
    'three interrupts, each of the one before': { whenBusy: ['interrupt', 'interrupt', 'interrupt'], pace: 'running' },
    'rollback, interrupt and rollback, each of the one before': {
      whenBusy: ['rollback', 'interrupt', 'rollback'],
      pace: 'running',
    },
  };
  testsAtOnce(
    cells,
    async ({ whenBusy, pace }) => {
      const stage = await asked(LONG);
      const first = stage.subject;
      const waiting: string[] = [];
      for (let n = 0; n < 10; n++) waiting.push(await stage.submit('Waits?'));
      const ahead: string[] = [];
      for (const how of whenBusy) {
        const text = pace === 'running' && ahead.length < 2 ? LONG : 'Ahead?';
        ahead.push(await stage.ask(text, how));
        if (pace === 'running' && ahead.length < 3) await stage.untilAtAgent('answering');
      }
      const endOf = { interrupt: 'interrupted', rollback: 'cancelled' } as const;
      await stage.untilAtAgent('landed');
      await outcomesOf(stage.handle, waiting);
      const recorded = await stage.check(ANSWERED, 'goesOn');
      const status = new Map(recorded.map(({ outcome }) => [outcome.messageId, outcome.status]));
      expect(status.get(first)).toBe(endOf[whenBusy[0]!]);
      expect(waiting.map((messageId) => status.get(messageId))).toEqual(waiting.map(() => 'answered'));
      const cut = ahead.slice(0, -1).map((_, n) => (pace === 'running' ? endOf[whenBusy[n + 1]!] : 'answered'));
      if (pace === 'running') expect(ahead.map((messageId) => status.get(messageId))).toEqual([...cut, 'answered']);
      // Those that wait are answered in their order, and after those that went ahead.
      const ended = [...recorded].sort((one, other) => one.outcome.finishedAt.localeCompare(other.outcome.finishedAt));
      expect(ended.map(({ outcome }) => outcome.messageId).slice(-10)).toEqual(waiting);
    },
    AT_ONCE,
  );
});

describe("while it waits for the governor's limit,", () => {
  let narrow: Rig;
  beforeAll(async () => {
    narrow = await startRig({ worker: false, simulator: { agents: agents(...BUSY) } });
    await narrow.startWorker({ limits: { maxConcurrentCallsPerAgent: 1 } });
  });
  afterAll(() => narrow.close());

  testsAtOnce(
    Object.fromEntries(ACT_NAMES.map((name, n) => [name, { ...ACTS[name], agentRid: BUSY[n] ?? '' }])),
    async ({ act, run, agentRid }) => {
      const holder = new ConversationStage(narrow, { agentRid });
      await holder.ask(LONG);
      await holder.untilAtAgent('answering');
      const stage = new ConversationStage(narrow, { agentRid });
      await stage.ask(LONG);
      await stage.untilActivity('waits for the limit', (activity) => {
        return exchangeProgress(activity)?.phase === 'waitingForLimit';
      });
      await act(stage);
      // It needs no turn for its end; the one that holds the only place goes on.
      if (run !== 'terminated') await outcomesOf(stage.handle, [stage.subject]);
      expect(holder.atAgent()).toBe('answering');
      await cancelExchange(holder);
      await holder.check(TAKEN_AWAY, 'goesOn');
      // Of a terminate it hears with its next heartbeat, and could be let in before.
      await stage.check(run === 'terminated' ? oneOf(NEVER_SENT, TAKEN_AWAY) : NEVER_SENT, run);
    },
    AT_ONCE,
  );
});

/** What happens to a conversation between two workers, or right after the second has come. */
interface Between extends Omit<Cell, 'bring'> {
  text: string;
  settings?: ConversationSettings;
  /** When it is done. Default: in the dark. */
  when?: 'landed' | 'adopted';
  /** Handed in while no worker is there. */
  isNew?: boolean;
}

const between: Record<string, Between> = {
  'nothing is done: the next worker adopts the exchange': {
    text: '[takes 12s] Adopted?',
    act: () => Promise.resolve(),
    ending: ANSWERED,
    run: 'goesOn',
  },
  ...Object.fromEntries(
    ACT_NAMES.flatMap((name): [string, Between][] => [
      [`${name} in the dark`, { ...ACTS[name], text: LONG, ending: IN_MID_STREAM[name] }],
      [`${name} once it is adopted`, { ...ACTS[name], text: LONG, ending: IN_MID_STREAM[name], when: 'adopted' }],
      [
        `${name} of a message that no worker has seen`,
        { ...ACTS[name], text: 'Seen?', ending: NEVER_SENT, isNew: true },
      ],
    ]),
  ),
  'a cancel of the run in the dark, after its answer landed': {
    ...ACTS['a cancel of the run'],
    text: '[takes 2000ms] Landed in the dark?',
    ending: ANSWERED,
    when: 'landed',
  },
  'a cancel of the run in the dark, of a blocking exchange': {
    ...ACTS['a cancel of the run'],
    text: '[takes 12s] Blocking?',
    settings: { mode: 'blocking' },
    ending: { ...UNSTOPPABLE, recorded: ['cancelled', 'answered'] },
  },
  'a cancelExchange with a response and a cancel of the run in the dark': {
    act: atOnce(respond('Enough.'), cancelRun),
    text: LONG,
    ending: oneOf(TAKEN_AWAY, KEPT),
    run: 'cancelled',
  },
  'a cancel of the run and a terminate in the dark': {
    act: atOnce(cancelRun, terminate),
    text: LONG,
    ending: TAKEN_AWAY,
    run: 'terminated',
  },
};

/** All cells of one way in which the first worker goes; they share the two workers. */
class TwoWorkers {
  rig: Rig | undefined;
  worker: WorkerProcess | undefined;
  readonly #stages = new Map<string, ConversationStage>();
  #prepared: Promise<void> | undefined;

  constructor(private readonly leave: 'terminate' | 'kill') {}

  async run(name: string, { act, ending, run, when }: Between): Promise<void> {
    await (this.#prepared ??= this.#prepare());
    const stage = this.#stages.get(name)!;
    if (when === 'adopted') {
      await stage.untilActivity('has adopted it', (activity) => exchangeProgress(activity)?.phase === 'following');
      await act(stage);
    }
    await stage.check(ending, run);
  }

  async close(): Promise<void> {
    await this.worker?.kill();
    await this.rig?.close();
  }

  async #prepare(): Promise<void> {
    const own = (this.rig = await startRig({ worker: false }));
    this.worker = await startWorkerProcess(own);
    const entries = Object.entries(between);
    const each = (run: (stage: ConversationStage, one: Between) => Promise<unknown>) =>
      Promise.all(entries.map(([name, one]) => run(this.#stages.get(name)!, one)));
    for (const [name, { settings }] of entries) this.#stages.set(name, new ConversationStage(own, settings));
    await each(async (stage, { text, isNew }) => {
      if (isNew === true) return;
      await stage.ask(text);
      await stage.untilAtAgent('answering');
    });
    await this.worker[this.leave]();
    await each(async (stage, { text, act, when, isNew }) => {
      if (isNew === true) await stage.submit(text);
      if (when === 'landed') await stage.untilAtAgent('landed');
      if (when !== 'adopted') await act(stage);
    });
    this.worker = await startWorkerProcess(own);
  }
}

describe('between two workers,', () => {
  const ways = { 'after a deploy': new TwoWorkers('terminate'), 'after a worker died': new TwoWorkers('kill') };
  afterAll(() => Promise.all(Object.values(ways).map((way) => way.close())));
  beginBetween = testsAtOnce<() => Promise<void>>(
    Object.fromEntries(
      Object.entries(ways).flatMap(([when, way]) =>
        Object.entries(between).map(([name, one]) => [`${when}: ${name}`, () => way.run(name, one)]),
      ),
    ),
    (run) => run(),
    { timeoutMs: 120_000 },
  );
});
