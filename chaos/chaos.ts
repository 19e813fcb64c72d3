import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { createAgentsApi, staticToken } from '../src/agents-api/index.js';
import { AipClient, listBatches, setBatchConcurrency } from '../src/client/index.js';
import { type LedgerTotals, type Simulator, startSimulator } from '../src/simulator/index.js';
import { audit, type Audit } from './audit.js';
import { type AutomationStory, planAutomation, playAutomation } from './automation-actor.js';
import { type BatchStory, planBatch, playBatch } from './batch-actor.js';
import { type ChaosClock, chaosClock, insist } from './clock.js';
import { type ConversationStory, playConversation, type Stage } from './conversation-actor.js';
import { planConversation } from './conversation-plan.js';
import { keepEvidence } from './evidence.js';
import { type ChaosOptions, type Disturbances, noDisturbances } from './options.js';
import { KeptWorker, KillableServer } from './processes.js';
import { type Random, seededRandom } from './random.js';
import { type ConversationRecord, readRecord } from './record.js';
import { playTerminated, type TerminatedStory } from './terminated-actor.js';
import { calm, faultRules, settingsOf } from './weather.js';

/** What a run of chaos came to. */
export interface ChaosResult extends Audit {
  options: ChaosOptions;
  done: Disturbances;
  totals: LedgerTotals;
  conversations: number;
  /** Runs of conversations, roll-overs and reopenings included. */
  runs: number;
  batches: number;
  automations: number;
  seconds: number;
}

/** How long what has been cancelled may take to end at the agent, once all is calm (milliseconds). */
const LAST_END_MS = 90_000;
/** Rows at once of batches that are the last to end. */
const HURRIED_CONCURRENCY = 50;
const WEATHER_MS = 8_000;
const TERMINATED_EVERY_MS = 5_000;

/** Runs the whole thing: an installation, its users, all that goes wrong, and the audit. */
export async function runChaos(
  options: ChaosOptions,
  { say, signal, keep }: { say: (text: string) => void; signal: AbortSignal; keep?: string },
): Promise<ChaosResult> {
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const server = await KillableServer.start(say);
    stops.push(() => server.stop());
    const simulator = await startSimulator({ serverKind: options.serverKind });
    stops.push(() => simulator.close());
    const workers = startWorkers(options.workers, server, simulator);
    stops.push(() => Promise.all(workers.map((worker) => worker.stop())));
    const aip = await AipClient.connect({
      connection: { address: server.address },
      agentRid: simulator.agentRid,
    });
    stops.push(() => aip.close());
    const result = await new Chaos(options, say, { aip, simulator, server, workers }).run(signal);
    if (keep !== undefined && result.findings.length > 0) {
      // What was found is told all the same.
      await keepEvidence(keep, result.findings, { client: aip.client, simulator }).then(
        () => say(`The histories and the ledger of what was found are in ${keep}`),
        (error: unknown) => say(`Cannot keep all that belongs to what was found in ${keep}: ${String(error)}`),
      );
    }
    return result;
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

function startWorkers(count: number, server: KillableServer, { url, token }: Simulator): KeptWorker[] {
  const environment = { FOUNDRY_URL: url, FOUNDRY_TOKEN: token, TEMPORAL_ADDRESS: server.address };
  return Array.from({ length: count }, (_, n) => new KeptWorker(`chaos-${n + 1}`, environment));
}

interface Installation {
  aip: AipClient;
  simulator: Simulator;
  server: KillableServer;
  workers: readonly KeptWorker[];
}

class Chaos {
  readonly #random: Random;
  readonly #done: Disturbances = noDisturbances();
  readonly #conversations: ConversationStory[] = [];
  readonly #records = new Map<string, ConversationRecord>();
  readonly #batches: BatchStory[] = [];
  readonly #automations: AutomationStory[] = [];
  readonly #terminated: TerminatedStory[] = [];
  readonly #playing = new Set<ConversationStory>();
  #begun = 0;
  #isCalm = false;

  constructor(
    private readonly options: ChaosOptions,
    private readonly say: (text: string) => void,
    private readonly installation: Installation,
  ) {
    this.#random = seededRandom(options.seed);
  }

  async run(signal: AbortSignal): Promise<ChaosResult> {
    const { aip, simulator } = this.installation;
    const startedMs = Date.now();
    const over = new AbortController();
    // Everybody waits for it.
    setMaxListeners(0, over.signal);
    const end = () => over.abort();
    signal.addEventListener('abort', end, { once: true });
    const timer = setTimeout(end, this.options.minutes * 60_000);
    const clock = chaosClock(over.signal);
    const stage: Stage = { aip, simulator, clock, done: this.#done, playing: this.#playing };
    const told = setInterval(() => this.#tell(startedMs), 10_000);
    try {
      simulator.setFaults(faultRules(this.#random.fork('faults'), this.options.faults));
      const disturbing = Promise.all([this.#weather(clock), this.#killWorkers(clock), this.#killServer(clock)]);
      const counting = this.#endWhenEnough(clock, end);
      const playing = Promise.all([
        ...Array.from({ length: this.options.conversations }, () => this.#play(stage)),
        this.#playBatches(stage),
        this.#playAutomations(stage),
        this.#playTerminated(stage),
      ]);
      await Promise.race([playing, clock.wait(2 ** 31 - 1)]);
      end();
      await disturbing;
      await counting;
      calm(simulator);
      this.#isCalm = true;
      this.say('Calm: what was begun comes to its end ...');
      await Promise.all([playing, this.#hurryBatches()]);
      await this.#untilNothingRuns();
      await this.#readRecords();
    } finally {
      end();
      clearTimeout(timer);
      clearInterval(told);
      signal.removeEventListener('abort', end);
    }
    const { url: foundryUrl, token } = simulator;
    const api = createAgentsApi({ foundryUrl, token: staticToken(token) });
    try {
      const { conversations, records, batches, automations, terminated } = this.#stories();
      return {
        ...(await audit({ simulator, api, conversations, records, batches, automations, terminated })),
        options: this.options,
        done: this.#done,
        totals: simulator.summary().totals,
        conversations: conversations.length,
        runs: [...records.values()].reduce((sum, { runs }) => sum + runs, 0),
        batches: batches.length,
        automations: automations.length,
        seconds: Math.round((Date.now() - startedMs) / 1000),
      };
    } finally {
      await api.close();
    }
  }

  #stories() {
    return {
      conversations: this.#conversations,
      records: this.#records,
      batches: this.#batches,
      automations: this.#automations,
      terminated: this.#terminated,
    };
  }

  async #play(stage: Stage): Promise<void> {
    while (!stage.clock.over.aborted) {
      const plan = planConversation(this.#random, this.#begun++, this.options);
      this.#conversations.push(await playConversation(stage, plan));
    }
  }

  async #playBatches(stage: Stage): Promise<void> {
    for (let n = 0; this.options.rows > 0 && !stage.clock.over.aborted; n++) {
      this.#batches.push(await playBatch(stage, planBatch(this.#random, n, this.options)));
    }
  }

  async #playAutomations(stage: Stage): Promise<void> {
    for (let n = 0; this.options.items > 0 && !stage.clock.over.aborted; n++) {
      this.#automations.push(await playAutomation(stage, planAutomation(this.#random, n, this.options)));
    }
  }

  /** Those that were made slow would take long to their end, with nothing to be seen any more. */
  async #hurryBatches(): Promise<void> {
    const { aip } = this.installation;
    for (const { batchId } of await insist(
      'list batches',
      () => listBatches(aip, { state: 'running' }),
      () => false,
    )) {
      await setBatchConcurrency(aip, batchId, HURRIED_CONCURRENCY).catch(() => undefined);
    }
  }

  async #playTerminated(stage: Stage): Promise<void> {
    const random = this.#random.fork('terminated');
    // An exchange that was sent by blockingContinue cannot be stopped.
    for (let n = 0; this.options.mode !== 'blocking' && (await stage.clock.wait(TERMINATED_EVERY_MS)); n++) {
      this.#terminated.push(await playTerminated(stage, random, n));
    }
  }

  async #weather(clock: ChaosClock): Promise<void> {
    const random = this.#random.fork('weather');
    do this.installation.simulator.changeSettings(settingsOf(random));
    while (await clock.wait(WEATHER_MS));
  }

  async #killWorkers(clock: ChaosClock): Promise<void> {
    const { workerKillSeconds } = this.options;
    const random = this.#random.fork('worker kills');
    while (workerKillSeconds > 0 && (await clock.wait(pauseMs(random, workerKillSeconds)))) {
      const worker = random.pick(this.installation.workers);
      const isDeploy = random.chance(0.2);
      const awayMs = random.chance(0.8) ? 0 : random.whole(1_000, 8_000);
      if (!(await worker.end(isDeploy ? 'SIGTERM' : 'SIGKILL', awayMs))) continue;
      if (isDeploy) this.#done.deploys++;
      else this.#done.workerKills++;
    }
  }

  async #killServer(clock: ChaosClock): Promise<void> {
    const { serverKillSeconds } = this.options;
    const random = this.#random.fork('server kills');
    while (serverKillSeconds > 0 && (await clock.wait(pauseMs(random, serverKillSeconds)))) {
      this.#done.serverKills++;
      await this.installation.server.kill(random.whole(0, 3_000));
    }
  }

  async #endWhenEnough(clock: ChaosClock, end: () => void): Promise<void> {
    while (await clock.wait(1_000)) if (this.#exchanges() >= this.options.exchanges) end();
  }

  #exchanges(): number {
    const { landed, interrupted, cancelled } = this.installation.simulator.summary().totals;
    return landed + interrupted + cancelled;
  }

  async #untilNothingRuns(): Promise<void> {
    const { simulator } = this.installation;
    const until = Date.now() + LAST_END_MS;
    while (simulator.summary().totals.inFlight > 0 && Date.now() < until) await delay(250);
  }

  async #readRecords(): Promise<void> {
    const left = this.#conversations.values();
    const read = async () => {
      for (const { id, sent } of left) {
        const messageIds = sent.map(({ message }) => message.messageId);
        this.#records.set(id, await readRecord(this.installation.aip, id, messageIds));
      }
    };
    await Promise.all(Array.from({ length: 5 }, read));
  }

  #tellWhatIsOpen(): void {
    for (const { id, open } of [...this.#playing].slice(0, 5)) this.say(`  ${id} waits for ${[...open].join(', ')}`);
  }

  #tell(startedMs: number): void {
    const { workerKills, deploys, serverKills } = this.#done;
    const seconds = Math.round((Date.now() - startedMs) / 1000);
    const { inFlight } = this.installation.simulator.summary().totals;
    this.say(
      `${seconds} s: ${this.#exchanges()} exchanges ended, ${inFlight} in flight, ${this.#begun} conversations and ` +
        `${this.#batches.length} batches; ${workerKills + deploys} workers and ${serverKills} servers killed`,
    );
    if (this.#isCalm) this.#tellWhatIsOpen();
  }
}

/** Around the mean, from a half to one and a half of it. */
const pauseMs = (random: Random, meanSeconds: number): number => (0.5 + random.next()) * meanSeconds * 1000;
