import { describe, expect, test } from '@jest/globals';
import { ActivityCancellationDetails, ApplicationFailure } from '@temporalio/common';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { ExchangeFailure, type ExchangeMemory } from '../../src/activities/exchange-failure.js';
import {
  ExchangeHeldBack,
  type ExchangeHooks,
  type ExchangeProtocol,
  type ExchangeRequest,
} from '../../src/activities/exchange-protocol.js';
import { LaneTurns } from '../../src/activities/lane-turns.js';
import { BatchWatches } from '../../src/activities/batch-watch.js';
import { LanePlaces } from '../../src/activities/lane-places.js';
import { type EarlierAttempt, LanePool } from '../../src/activities/lane-pool.js';
import { runLane } from '../../src/activities/lane.js';
import type { LaneInput, LaneProgress, LaneResult, LaneRow } from '../../src/protocol/activities.js';
import { noRows, type RowStatus } from '../../src/protocol/batch.js';
import { LIMITS } from '../../src/protocol/defaults.js';
import type { FailureClass } from '../../src/protocol/failures.js';

const textOf = (request: ExchangeRequest) => ({
  agentMarkdownResponse: `Answer to ${request.text}`,
  parameterUpdates: {},
  interruptedOutput: false,
  totalTokensUsed: 3,
});

/** An agent in memory: it answers, hangs or refuses, as the text says, and remembers what it was told. */
class FakeAgent implements ExchangeProtocol {
  readonly sent: string[] = [];
  readonly looked: string[] = [];
  readonly cancelled: string[] = [];
  readonly requests: ExchangeRequest[] = [];
  /** Texts of exchanges that stand in their sessions. */
  readonly landed = new Set<string>();
  peak = 0;
  /** Exchanges that wait for a limit. */
  waiting = 0;
  #inFlight = 0;
  answer: (request: ExchangeRequest, memory: ExchangeMemory) => ReturnType<typeof textOf> = textOf;
  whileAnswering: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();

  async run(request: ExchangeRequest, earlier: ExchangeMemory, hooks: ExchangeHooks) {
    const memory = { ...earlier };
    this.requests.push(request);
    if (memory.mayBeSent) {
      this.looked.push(request.text);
      if (this.landed.has(request.text)) return { result: textOf(request), memory };
    }
    if (request.text.includes('limit')) await this.#untilHeld(hooks, memory);
    memory.sends++;
    memory.mayBeSent = true;
    hooks.onProgress?.({ phase: 'sending', text: '', textOffset: 0, ...memory });
    this.sent.push(request.text);
    this.peak = Math.max(this.peak, ++this.#inFlight);
    try {
      await this.whileAnswering(hooks.signal);
      if (request.text.includes('hang')) await untilAborted(hooks.signal);
      const result = this.answer(request, memory);
      this.landed.add(request.text);
      return { result, memory };
    } finally {
      this.#inFlight--;
    }
  }

  /** Waits for a limit that lets nothing in. */
  async #untilHeld({ signal, hold }: ExchangeHooks, memory: ExchangeMemory): Promise<never> {
    this.waiting++;
    try {
      return await Promise.race([untilAborted(signal), untilAborted(hold!)]);
    } catch (reason) {
      throw reason === hold?.reason ? new ExchangeHeldBack({ ...memory }) : reason;
    } finally {
      this.waiting--;
    }
  }

  cancel(request: ExchangeRequest, memory: ExchangeMemory) {
    if (memory.sends > 0 || memory.mayBeSent) this.cancelled.push(request.text);
    if (this.landed.has(request.text)) return Promise.resolve({ status: 'answered' as const, result: textOf(request) });
    return Promise.resolve({ status: 'cancelled' as const });
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
}

const failure = (failureClass: FailureClass, memory: ExchangeMemory) =>
  new ExchangeFailure(
    failureClass,
    { errorName: `Refused-${failureClass}`, message: 'no' },
    {
      ...memory,
      traceNumber: memory.traceNumber + 1,
      mayBeSent: false,
    },
  );

function row(index: number, ...turns: string[]): LaneRow {
  return { index, id: `q${index}`, turns, agentRid: 'ri.agent', sessionRid: `ri.session.${index}` };
}

function input(rows: LaneRow[], more: Partial<LaneInput> = {}): LaneInput {
  return {
    batchId: 'b',
    shard: 0,
    shardCount: 1,
    shardRows: rows.length,
    countsBefore: noRows(),
    idBase: '6f4e1f2c-6d7e-4a43-9c5e-0d9f6f3f1a11',
    concurrency: 3,
    mode: 'streaming',
    callTimeoutMs: 60_000,
    silenceTimeoutMs: 20_000,
    rows,
    ...more,
  };
}

/** Temporal as the lane asks it about its own run; signals to the batch are kept. */
function fakeTemporal(isOpen: boolean) {
  const signals: unknown[] = [];
  const client = {
    withAbortSignal: (_signal: AbortSignal, call: () => unknown) => call(),
    workflow: {
      getHandle: (workflowId: string) => ({
        describe: () =>
          isOpen
            ? Promise.resolve({ status: { name: 'RUNNING' } })
            : Promise.reject(new WorkflowNotFoundError('gone', workflowId, undefined)),
        signal: (_definition: unknown, argument: unknown) => Promise.resolve(void signals.push(argument)),
      }),
    },
  };
  return { client: client as unknown as Client, signals };
}

interface Setting {
  isLater?: boolean;
  heartbeatDetails?: LaneProgress;
  isOpen?: boolean;
}

function lane(
  agent: FakeAgent,
  laneInput: LaneInput,
  { isLater = false, heartbeatDetails, isOpen = true }: Setting = {},
) {
  const { client, signals } = fakeTemporal(isOpen);
  const times = { scheduledTimestampMs: 1, currentAttemptScheduledTimestampMs: isLater ? 2 : 1 };
  const environment = new MockActivityEnvironment({ attempt: 1, ...times, heartbeatDetails }, { client });
  const beats: LaneProgress[] = [];
  environment.on('heartbeat', (details: LaneProgress) => beats.push(details));
  const run = runIn(environment, agent, laneInput);
  return { environment, beats, signals, run };
}

function runIn(environment: MockActivityEnvironment, agent: FakeAgent, laneInput: LaneInput): Promise<LaneResult> {
  return environment.run<[], LaneResult, () => Promise<LaneResult>>(() =>
    runLane(
      { exchangeProtocol: agent, watches: new BatchWatches(), turns: new LaneTurns(undefined) },
      laneInput,
      environment.context,
    ),
  );
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error('Waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function statuses({ results }: LaneResult): Record<string, RowStatus> {
  const inOrder = results.toSorted((a, b) => a.index - b.index);
  return Object.fromEntries(inOrder.map(({ id, status }): [string, RowStatus] => [id, status]));
}

describe('a lane', () => {
  test('walks each row turn by turn, with no more rows at once than it may', async () => {
    const agent = new FakeAgent();
    agent.whileAnswering = () => new Promise((resolve) => setTimeout(resolve, 5));
    const rows = Array.from({ length: 10 }, (_, n) => row(n, `${n}a`, `${n}b`));
    const result = await lane(agent, input(rows)).run;
    expect(result.results).toHaveLength(10);
    expect(result).toMatchObject({ expired: [], begun: [] });
    expect(result.results[0]).toMatchObject({ status: 'succeeded', tokens: 6, attempts: 2 });
    expect(agent.peak).toBe(3);
    expect(agent.looked).toEqual([]);
    for (const { turns } of rows) expect(agent.sent.filter((text) => turns.includes(text))).toEqual(turns);
  });

  test('makes the same ids in every attempt, and different ones for every turn', async () => {
    const rows = [row(0, 'a', 'b'), row(1, 'c')];
    const idsOf = async (setting: Setting) => {
      const agent = new FakeAgent();
      await lane(agent, input(rows), setting).run;
      return agent.requests.map(({ text, ids, exchangesBefore }) => ({ text, ids, exchangesBefore })).sort(byText);
    };
    const first = await idsOf({});
    expect(await idsOf({ isLater: true })).toEqual(first);
    expect(new Set(first.flatMap(({ ids }) => [ids.messageId, ids.traceIdBase])).size).toBe(6);
    expect(first.map(({ exchangesBefore }) => exchangesBefore)).toEqual([0, 1, 0]);
  });

  test('carries parameters over from turn to turn', async () => {
    const agent = new FakeAgent();
    agent.answer = (request) => ({
      ...textOf(request),
      parameterUpdates: { city: { type: 'string', value: 'Bern' } },
    });
    await lane(agent, input([{ ...row(0, 'a', 'b'), parameterInputs: { city: { type: 'string', value: 'Zug' } } }]))
      .run;
    expect(agent.requests.map(({ parameterInputs }) => parameterInputs?.['city'])).toEqual([
      { type: 'string', value: 'Zug' },
      { type: 'string', value: 'Bern' },
    ]);
  });

  test('in a later attempt reads back what landed, and sends only what did not', async () => {
    const agent = new FakeAgent();
    agent.landed.add('0a').add('1a').add('1b');
    const { results } = await lane(agent, input([row(0, '0a', '0b', '0c'), row(1, '1a', '1b')]), { isLater: true }).run;
    expect(results.map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);
    expect(agent.sent).toEqual(['0b', '0c']);
    // Turn 0b had to be sent, so nobody can have sent 0c: no look is spent on it.
    expect(agent.looked.sort()).toEqual(['0a', '0b', '1a', '1b']);
  });

  test('looks before sending where an earlier lane has begun a row', async () => {
    const agent = new FakeAgent();
    agent.landed.add('a');
    await lane(agent, input([{ ...row(0, 'a'), begun: true }, row(1, 'b')])).run;
    expect(agent.sent).toEqual(['b']);
  });

  test('records a refusal as failed, with what was answered before it, and goes on with other rows', async () => {
    const agent = new FakeAgent();
    agent.answer = (request, memory) => {
      if (request.text === 'bad') throw failure('giveUp', memory);
      return textOf(request);
    };
    const { results } = await lane(agent, input([row(0, 'good', 'bad', 'never'), row(1, 'fine')])).run;
    const failed = results.find(({ id }) => id === 'q0');
    expect(failed).toMatchObject({ status: 'failed', attempts: 2, error: { errorName: 'Refused-giveUp' } });
    expect(failed?.exchanges).toHaveLength(1);
    expect(agent.sent).not.toContain('never');
    expect(results.find(({ id }) => id === 'q1')?.status).toBe('succeeded');
  });

  test('tries again after a transient failure, and shows what it waits for', async () => {
    const agent = new FakeAgent();
    let refusals = 0;
    agent.answer = (request, memory) => {
      if (refusals++ === 0) throw failure('transient', { ...memory, transientFailures: 1 });
      expect(memory.traceNumber).toBe(1);
      return textOf(request);
    };
    const { run, beats } = lane(agent, input([row(0, 'a')]));
    expect((await run).results).toMatchObject([{ status: 'succeeded', attempts: 2 }]);
    const waits = beats.filter(({ waitingFor }) => waitingFor !== undefined);
    expect(waits[0]).toMatchObject({ waitingFor: 'the next try after Refused-transient', traceNumbers: { '0/0': 1 } });
  });

  test('hands back a row whose session has expired unless something was answered in it', async () => {
    const agent = new FakeAgent();
    agent.answer = (request, memory) => {
      if (request.text.startsWith('gone')) throw failure('expired', memory);
      return textOf(request);
    };
    const rows = [row(0, 'gone'), row(1, 'here', 'gone too'), { ...row(2, 'gone again'), lastSession: true as const }];
    const result = await lane(agent, input(rows)).run;
    expect(result.expired).toEqual([0]);
    expect(statuses(result)).toEqual({ q1: 'failed', q2: 'failed' });
  });

  test('comes back early when its results near their bound, and leaves the other rows untouched', async () => {
    const agent = new FakeAgent();
    agent.answer = (request) => ({ ...textOf(request), agentMarkdownResponse: 'x'.repeat(100_000) });
    const rows = Array.from({ length: 40 }, (_, n) => row(n, `${n}`));
    const result = await lane(agent, input(rows)).run;
    expect(result.results.length).toBeGreaterThanOrEqual(3);
    expect(JSON.stringify(result).length).toBeLessThanOrEqual(2 * LIMITS.laneResultCharacters + 10_000);
    expect(agent.sent).toHaveLength(result.results.length + result.begun.length);
  });

  test('fails a row whose answer no payload can hold, and names the session that has it', async () => {
    const agent = new FakeAgent();
    agent.answer = (request) => ({ ...textOf(request), agentMarkdownResponse: 'ä'.repeat(1_000_000) });
    const { results } = await lane(agent, input([row(0, 'a')])).run;
    expect(results).toMatchObject([
      { status: 'failed', sessionRid: 'ri.session.0', exchanges: [], error: { errorName: 'AnswerTooLarge' } },
    ]);
  });
});

describe('a stopped lane', () => {
  const rows = [row(0, 'fast'), row(1, 'hang 1'), row(2, 'hang 2'), row(3, 'hang 3'), row(4, 'never')];
  const stopped = async (details: ConstructorParameters<typeof ActivityCancellationDetails>[0], setting?: Setting) => {
    const agent = new FakeAgent();
    const started = lane(agent, input(rows), setting);
    await until(() => agent.sent.length === 4);
    started.environment.cancel('CANCELLED', new ActivityCancellationDetails(details));
    const outcome = await started.run.catch((error: unknown) => error);
    return { agent, outcome, ...started };
  };
  const hung = ['hang 1', 'hang 2', 'hang 3'];

  test('asked to cancel, ends what is in flight at the agent and hands over what it has', async () => {
    const { agent, outcome } = await stopped({ cancelRequested: true });
    expect(agent.cancelled.sort()).toEqual(hung);
    expect(statuses(outcome as LaneResult)).toEqual({
      q0: 'succeeded',
      q1: 'cancelled',
      q2: 'cancelled',
      q3: 'cancelled',
    });
    expect((outcome as LaneResult).begun).toEqual([]);
    expect(agent.sent).not.toContain('never');
  });

  test.each([['workerShutdown'], ['paused'], ['timedOut']])(
    'for %s, leaves all running and hands back',
    async (reason) => {
      const { agent, outcome } = await stopped({ [reason]: true });
      expect(agent.cancelled).toEqual([]);
      expect(outcome).toBeInstanceOf(ApplicationFailure);
      expect(outcome).toMatchObject({ type: 'HandedBack', nonRetryable: false });
    },
  );

  test('reset, ends what is in flight and starts again', async () => {
    const { agent, outcome } = await stopped({ reset: true });
    expect(agent.cancelled.sort()).toEqual(hung);
    expect(outcome).toMatchObject({ type: 'HandedBack' });
  });

  test('no longer known while its run is open, leaves the rows to the attempt that owns them', async () => {
    const { agent, signals } = await stopped({ notFound: true }, { isOpen: true });
    expect(agent.cancelled).toEqual([]);
    expect(signals).toEqual([]);
  });

  test('no longer known since its run was terminated, cancels at the agent and tells the batch', async () => {
    const { agent, signals } = await stopped({ notFound: true }, { isOpen: false });
    expect(agent.cancelled.sort()).toEqual(hung);
    expect(signals).toContainEqual({ shard: 0, counts: { ...noRows(), cancelled: rows.length } });
  });

  test('that was cancelled before it began sends nothing, and ends what an earlier attempt may have begun', async () => {
    const agent = new FakeAgent();
    agent.landed.add('fast');
    const { client } = fakeTemporal(true);
    const times = { scheduledTimestampMs: 1, currentAttemptScheduledTimestampMs: 2 };
    const environment = new MockActivityEnvironment({ attempt: 2, ...times }, { client });
    environment.cancel();
    const result = await runIn(environment, agent, input(rows));
    expect(agent.sent).toEqual([]);
    expect(agent.cancelled.sort()).toEqual(rows.flatMap(({ turns }) => turns).sort());
    expect(statuses(result)).toEqual({
      q0: 'succeeded',
      q1: 'cancelled',
      q2: 'cancelled',
      q3: 'cancelled',
      q4: 'cancelled',
    });
  });
});

describe('a lane does what is asked of its batch:', () => {
  const first: EarlierAttempt = { mayHaveRun: false, traceNumbers: {} };
  const rows = Array.from({ length: 6 }, (_, n) => row(n, `${n}`));
  const paused = { paused: { since: '2030-01-01T00:00:00Z' } };

  const untilHavingLetGo = (letGo: () => void, condition: () => boolean) =>
    until(() => {
      letGo();
      return condition();
    });

  /** A pool whose rows hang until they are let go, one after the other. */
  function pool(laneRows = rows, earlier = first, isBoundReached?: () => boolean) {
    const agent = new FakeAgent();
    const hanging: (() => void)[] = [];
    agent.whileAnswering = (signal) =>
      Promise.race([untilAborted(signal), new Promise<void>((resolve) => hanging.push(resolve))]);
    const stop = new AbortController();
    const made = new LanePool(agent, input(laneRows, { concurrency: 2 }), earlier, isBoundReached);
    const run = (places?: LanePlaces) => made.run(stop.signal, places);
    return { agent, made, run, letGo: () => hanging.shift()?.(), abort: () => stop.abort(new Error('stopped')) };
  }

  test('paused before it begins, it begins nothing', async () => {
    const { agent, made, run } = pool();
    made.apply(paused);
    await run();
    expect([agent.sent, made.result()]).toEqual([[], { results: [], expired: [], begun: [] }]);
  });

  test('with a row that was cancelled before it begins, it begins no others yet', async () => {
    const { agent, made, run, letGo } = pool();
    made.apply({ cancelledRows: ['q1'] });
    await until(() => made.progress().cancelled === 1);
    expect(agent.sent).toEqual([]);
    const running = run();
    await untilHavingLetGo(letGo, () => made.progress().finished === rows.length);
    await running;
    expect(agent.sent).toEqual(['0', '2', '3', '4', '5']);
  });

  test('paused, it lets end what is in flight, and comes back with the rest untouched', async () => {
    const { agent, made, run, letGo } = pool();
    const running = run();
    made.apply(paused);
    letGo();
    letGo();
    await running;
    expect(agent.sent).toEqual(['0', '1']);
    expect(made.result()).toMatchObject({ results: [{ id: 'q0' }, { id: 'q1' }], begun: [] });
  });

  test('paused, it takes back what waits for a limit, as if it had not been begun, unless something was answered', async () => {
    const { agent, made, run, letGo } = pool([row(0, 'limit'), row(1, 'a', 'then the limit'), row(2, 'b')]);
    const running = run();
    letGo();
    await until(() => agent.waiting === 2);
    made.apply(paused);
    await running;
    expect([agent.sent, agent.waiting]).toEqual([['a'], 0]);
    expect(made.result()).toEqual({ results: [], expired: [], begun: [1] });
  });

  test('paused and resumed while rows wait for a limit, it has them wait again', async () => {
    const { agent, made, run, letGo, abort } = pool([row(0, 'limit'), row(1, 'a')]);
    const running = run();
    await until(() => agent.waiting === 1);
    made.apply(paused);
    made.apply({});
    await until(() => agent.waiting === 1 && agent.requests.length === 3);
    letGo();
    await until(() => made.progress().succeeded === 1);
    abort();
    await running;
  });

  test('stopped, it leaves what waits for a limit, and takes what is begun to its end', async () => {
    const { agent, made, run, letGo } = pool([row(0, 'limit'), row(1, 'a', 'b')]);
    const running = run();
    await until(() => agent.waiting === 1);
    made.apply({ stopped: 'maxTokens' });
    await untilHavingLetGo(letGo, () => made.progress().finished === 1);
    await running;
    expect([agent.sent, made.result().begun, Object.keys(statuses(made.result()))]).toEqual([['a', 'b'], [], ['q1']]);
  });

  test('paused and resumed, it goes on', async () => {
    const { agent, made, run, letGo } = pool();
    const running = run();
    made.apply(paused);
    letGo();
    await until(() => made.progress().running === 1);
    made.apply({});
    expect(agent.sent).toEqual(['0', '1', '2']);
    await untilHavingLetGo(letGo, () => agent.sent.length === rows.length);
    letGo();
    letGo();
    await running;
    expect(made.result().results).toHaveLength(rows.length);
  });

  test('paused, a row of several turns waits between two of them, and is looked for later', async () => {
    const { agent, made, run, letGo } = pool([row(0, 'one', 'two')]);
    const running = run();
    made.apply(paused);
    letGo();
    await running;
    expect(agent.sent).toEqual(['one']);
    expect(made.result()).toEqual({ results: [], expired: [], begun: [0] });
  });

  test('with more rows at once, it begins more; with fewer, it begins none until there is room', async () => {
    const { agent, made, run, letGo } = pool();
    const running = run();
    made.apply({ shares: [[0, 4]] });
    expect(agent.sent).toHaveLength(4);
    made.apply({ shares: [[0, 1]] });
    letGo();
    letGo();
    letGo();
    await until(() => made.progress().running === 1);
    expect(agent.sent).toHaveLength(4);
    letGo();
    await until(() => agent.sent.length === 5);
    // The share of another shard is not its own.
    made.apply({ shares: [[1, 1]] });
    expect(agent.sent).toHaveLength(6);
    letGo();
    letGo();
    await running;
    expect(made.result().results).toHaveLength(rows.length);
  });

  test('without a share, it comes back when what is in flight has ended', async () => {
    const { agent, made, run, letGo } = pool();
    const running = run();
    made.apply({ shares: [[0, 0]] });
    letGo();
    letGo();
    await running;
    expect(agent.sent).toHaveLength(2);
  });

  test('takes places that another lane has no rows for, and waits for its own until they are given back', async () => {
    const places = new LanePlaces();
    const [ending, other, next] = [pool([row(0, 'last')]), pool(), pool()];
    const runs = [ending.run(places), other.run(places)];
    expect([ending.agent.sent, other.agent.sent]).toEqual([['last'], ['0', '1', '2']]);
    ending.letGo();
    await runs[0];
    // Its last place, too, is not left empty until the next lane comes.
    expect(other.agent.sent).toEqual(['0', '1', '2', '3']);
    const waiting = next.run(places);
    expect(next.agent.sent).toEqual([]);
    other.letGo();
    await until(() => next.agent.sent.length === 1);
    other.letGo();
    await until(() => next.agent.sent.length === 2);
    expect(other.agent.sent).toEqual(['0', '1', '2', '3']);
    for (const { letGo, made } of [other, next]) await untilHavingLetGo(letGo, () => made.progress().finished === 6);
    await Promise.all([runs[1], waiting]);
  });

  test('stopped while its rows go on at the agent, leaves its places empty', async () => {
    const places = new LanePlaces();
    const [stopped, other] = [pool(), pool()];
    const runs = [stopped.run(places), other.run(places)];
    stopped.abort();
    await runs[0];
    expect(other.agent.sent).toEqual(['0', '1']);
    await untilHavingLetGo(other.letGo, () => other.made.progress().finished === 6);
    await runs[1];
  });

  test('comes back from waiting for borrowed places when a bound of the batch is reached', async () => {
    let isReached = false;
    const places = new LanePlaces();
    const [ending, other] = [pool([row(0, 'last')]), pool(rows, first, () => isReached)];
    const runs = [ending.run(places), other.run(places)];
    ending.letGo();
    await runs[0];
    const held = pool(rows, first, () => isReached);
    const holding = held.run(places);
    expect(held.made.progress()).toMatchObject({ running: 0, waitingFor: expect.stringContaining('other lanes') });
    isReached = true;
    for (let n = 0; n < 4; n++) other.letGo();
    await Promise.all([runs[1], holding]);
    expect(held.agent.sent).toEqual([]);
  });

  test('comes back from waiting for borrowed places when it is paused or stopped', async () => {
    const places = new LanePlaces();
    const [ending, other] = [pool([row(0, 'last')]), pool()];
    const runs = [ending.run(places), other.run(places)];
    ending.letGo();
    await runs[0];
    const held = pool();
    const holding = held.run(places);
    held.made.apply(paused);
    await holding;
    const stopped = pool();
    const stopping = stopped.run(places);
    stopped.abort();
    await stopping;
    expect([held.agent.sent, stopped.agent.sent]).toEqual([[], []]);
    await untilHavingLetGo(other.letGo, () => other.made.progress().finished === 6);
    await runs[1];
  });

  test('cancels the rows that are asked for: at the agent where they are in flight, and without a send where they wait', async () => {
    const { agent, made, run, letGo } = pool();
    const running = run();
    made.apply({ cancelledRows: ['q1', 'q4', 'nobody'] });
    await until(() => agent.sent.includes('2'));
    expect(agent.cancelled).toEqual(['1']);
    await untilHavingLetGo(letGo, () => made.progress().finished === rows.length);
    await running;
    const ends = statuses(made.result());
    expect([ends['q1'], ends['q4'], Object.values(ends).filter((status) => status === 'succeeded').length]).toEqual([
      'cancelled',
      'cancelled',
      4,
    ]);
    expect(agent.sent).not.toContain('4');
    expect(made.progress()).toMatchObject({ succeeded: 4, cancelled: 2, finished: 6 });
  });

  test('looks for a cancelled row at the agent where an earlier attempt may have begun it', async () => {
    const { agent, made, run, letGo } = pool([row(0, 'a')], { mayHaveRun: true, traceNumbers: {} });
    agent.landed.add('a');
    made.apply({ cancelledRows: ['q0'] });
    letGo();
    await run();
    expect(made.result().results).toMatchObject([{ id: 'q0', status: 'succeeded' }]);
    expect(agent.sent).toEqual([]);
  });

  test('ends rows at their deadline, at the agent too, and begins none whose deadline has passed', async () => {
    const soon = { ...row(0, 'soon'), deadline: new Date(Date.now() + 1_000).toISOString() };
    const passed = { ...row(1, 'passed'), deadline: new Date(Date.now() - 1).toISOString() };
    const farAway = { ...row(2, 'far'), deadline: '9999-12-31T00:00:00Z' };
    const { agent, made, run, letGo } = pool([soon, passed, farAway]);
    const running = run();
    await until(() => agent.cancelled.includes('soon'));
    letGo();
    letGo();
    await running;
    expect(statuses(made.result())).toEqual({ q0: 'expired', q1: 'expired', q2: 'succeeded' });
    expect(made.result().results.find(({ id }) => id === 'q0')?.error).toMatchObject({ errorName: 'DeadlinePassed' });
    expect(agent.sent).toEqual(['soon', 'far']);
  });

  test('begins no more rows when a bound of the batch is reached', async () => {
    let isReached = false;
    const { agent, run, letGo } = pool(rows, first, () => isReached);
    const running = run();
    isReached = true;
    letGo();
    letGo();
    await running;
    expect(agent.sent).toEqual(['0', '1']);
  });

  test('sends a row in the mode of its own', async () => {
    const agent = new FakeAgent();
    await lane(agent, input([{ ...row(0, 'a'), mode: 'blocking' }, row(1, 'b')])).run;
    expect(agent.requests.map(({ mode }) => mode)).toEqual(['blocking', 'streaming']);
  });
});

const byText = (a: { text: string }, b: { text: string }) => (a.text < b.text ? -1 : 1);
