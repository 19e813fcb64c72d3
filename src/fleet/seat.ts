import {
  ActivityCancelledError,
  ActivityPausedError,
  ActivityResetError,
  type Client,
  type WorkflowExecutionDescription,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import { v4 as uuidV4 } from 'uuid';
import type { AgentGate } from '../governor/agent-gate.js';
import { type FleetView, MemberOfFleet } from '../governor/fleet-member.js';
import {
  byJoining,
  type Ceilings,
  governorWorkflowId,
  joinFleetSignal,
  LIMITS_MEMO,
  type LimitSettings,
  MEMBER_ACTIVITY,
  MEMBER_TIMEOUT_MS,
  type MemberReport,
} from '../protocol/limits.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';

/** What the seats of a worker have in common. */
export interface FleetContext {
  client: Client;
  taskQueue: string;
  /** Of the worker; stable across restarts. */
  identity: string;
  /** Ceilings that this worker was started with; for the sum of all workers. */
  configured: Ceilings;
  log: {
    info(message: string, meta?: Record<string, unknown>): void;
    warn(message: string, meta?: Record<string, unknown>): void;
  };
}

/** Time between rounds: mostly, in want, while shares change hands or a refusal is to be told, until the seat stands (milliseconds). */
const ROUND_MS = { calm: 1_000, scarce: 500, soon: 250, joining: 50 };
/** A worker without calls leaves after this time (milliseconds). */
const LEAVE_AFTER_MS = 60_000;
/** Temporal may be out of reach: a first call waits no longer for its share (milliseconds). */
const PATIENCE_MS = 5_000;
const CALL_TIMEOUT_MS = 5_000;
/** A member of this identity that has been silent for so long is the predecessor of this worker (milliseconds). */
const PREDECESSOR_SILENCE_MS = 2_500;

const { PendingActivityState } = proto.temporal.api.enums.v1;

/** A pending activity that stands for a worker. */
interface Seen {
  id: string;
  isStarted: boolean;
  scheduledMs: number;
  beatMs: number;
  report?: MemberReport | undefined;
}

/**
 * A worker's seat in the fleet of one agent: joins, tells the others every second, hears them, and leaves when there is nothing to
 * call. Cut off from Temporal, it goes on with its last share.
 */
export class Seat {
  readonly #workflowId: string;
  readonly #member: MemberOfFleet;
  readonly #id: string;
  readonly #ready: Promise<void>;
  #resolveReady: () => void = () => undefined;
  #isReady = false;
  readonly #ended = new AbortController();
  readonly #loop: Promise<void>;
  #wake: () => void = () => undefined;
  #isHurried = false;
  #isStanding = false;
  #joinedAtMs = Number.NEGATIVE_INFINITY;
  #busyAtMs = Date.now();
  #toldAtMs = Date.now();
  #isCutOff = false;
  #refusals: number;
  /** When each silent member of our identity was first seen at its last beat. */
  readonly #silent = new Map<string, { beatMs: number; sinceMs: number }>();

  constructor(
    private readonly context: FleetContext,
    private readonly agentRid: string,
    private readonly gate: AgentGate,
  ) {
    const { identity, configured, taskQueue } = context;
    this.#workflowId = governorWorkflowId(taskQueue, agentRid);
    this.#id = `${identity}#${uuidV4().slice(0, 8)}`;
    this.#refusals = gate.refusals;
    this.#member = new MemberOfFleet({ id: this.#id, identity, configured }, gate, Date.now);
    this.#ready = new Promise((resolve) => (this.#resolveReady = resolve));
    this.#loop = this.#rounds();
    const patience = setTimeout(() => this.#becomeReady(), PATIENCE_MS);
    void this.#ready.then(() => clearTimeout(patience));
  }

  /** Resolves when calls may ask the gate: it knows its share, or Temporal is out of reach. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** True once it has left: a new call needs a new seat. */
  get hasLeft(): boolean {
    return this.#ended.signal.aborted;
  }

  /** Notes that calls are made, and tells the others soon of a refusal. */
  noteCall(): void {
    this.#busyAtMs = Date.now();
    const { refusals } = this.gate;
    if (refusals === this.#refusals) return;
    this.#refusals = refusals;
    this.#isHurried = true;
    this.#wake();
  }

  /** Leaves the fleet; resolves when the others can know. */
  async leave(): Promise<void> {
    this.#ended.abort();
    this.#wake();
    await this.#loop;
  }

  async #rounds(): Promise<void> {
    while (!this.hasLeft) {
      try {
        await this.#round();
        this.#noteContact();
      } catch (error) {
        this.#noteCutOff(error);
      }
      if (Date.now() - this.#busyAtMs > LEAVE_AFTER_MS && this.#isIdle()) break;
      await this.#pause();
    }
    this.#ended.abort();
    this.#becomeReady();
    await this.#giveUp();
  }

  async #round(): Promise<void> {
    if (!this.#isIdle()) this.#busyAtMs = Date.now();
    const description = await this.#describe();
    const settings = (description?.memo?.[LIMITS_MEMO] as LimitSettings | undefined) ?? {};
    const seen = description === undefined ? [] : await this.#membersOf(description);
    const self = seen.find(({ id }) => id === this.#id);
    if (self?.isStarted !== true) {
      if (this.#isStanding) {
        this.context.log.warn('The fleet has given this worker up for dead: joining again', { agent: this.agentRid });
        this.#member.lostSeat();
      }
      this.#isStanding = false;
      if (self === undefined) await this.#join();
      // Nobody else calls this agent, and nobody has set anything: nothing to wait for.
      if (seen.length === 0 && Object.keys({ ...settings, ...this.context.configured }).length === 0)
        this.#becomeReady();
      return;
    }
    this.#isStanding = true;
    await this.#evictPredecessors(seen, settings);
    const view: FleetView = { settings, members: seen };
    const report = this.#member.look(view);
    await this.#beat(report);
    this.#member.told();
    this.#becomeReady();
  }

  async #pause(): Promise<void> {
    const isUnsettled = this.#member.isUnsettled || this.#isHurried;
    const calmMs = this.#member.isScarce ? ROUND_MS.scarce : ROUND_MS.calm;
    const ms = !this.#isStanding ? ROUND_MS.joining : isUnsettled ? ROUND_MS.soon : calmMs;
    this.#isHurried = false;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#isCutOff ? ROUND_MS.calm : ms);
      this.#wake = () => {
        clearTimeout(timer);
        // Not at once: what one refusal tells is often what the next ones do.
        setTimeout(resolve, this.hasLeft ? 0 : Math.min(ms, ROUND_MS.soon));
      };
    });
    this.#wake = () => undefined;
  }

  async #describe(): Promise<WorkflowExecutionDescription | undefined> {
    try {
      const description = await this.#call((client) => client.workflow.getHandle(this.#workflowId).describe());
      return description.status.name === 'RUNNING' || description.status.name === 'PAUSED' ? description : undefined;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  }

  /** In the order of their joining, which all see alike. */
  async #membersOf(description: WorkflowExecutionDescription): Promise<Seen[]> {
    const { loadedDataConverter } = this.context.client.options;
    const pending = (description.raw.pendingActivities ?? []).filter(
      ({ activityType }) => activityType?.name === MEMBER_ACTIVITY,
    );
    const seen = await Promise.all(
      pending.map(async (activity): Promise<Seen> => {
        const [report] = await decodeArrayFromPayloads(loadedDataConverter, activity.heartbeatDetails?.payloads);
        return {
          id: activity.activityId ?? '',
          isStarted: activity.state !== PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED,
          scheduledMs: optionalTsToMs(activity.scheduledTime) ?? 0,
          beatMs: optionalTsToMs(activity.lastHeartbeatTime) ?? 0,
          report: report as MemberReport | undefined,
        };
      }),
    );
    return seen.toSorted(byJoining);
  }

  async #join(): Promise<void> {
    // The run takes a moment to let it in.
    if (Date.now() - this.#joinedAtMs < ROUND_MS.calm) return;
    this.#joinedAtMs = Date.now();
    const { agentRid, context } = this;
    await this.#call((client) =>
      client.workflow.signalWithStart(WORKFLOW_TYPES.governor, {
        workflowId: this.#workflowId,
        taskQueue: context.taskQueue,
        args: [{ agentRid }],
        signal: joinFleetSignal,
        signalArgs: [{ member: this.#id }],
        staticSummary: `limits of ${agentRid}`,
      }),
    );
  }

  async #beat(report: MemberReport): Promise<void> {
    try {
      await this.#call((client) =>
        client.activity.heartbeat({ workflowId: this.#workflowId, activityId: this.#id }, report),
      );
    } catch (error) {
      // It was taken down all the same; what people do to the activity in the UI changes nothing for the worker.
      const isHeard = [ActivityCancelledError, ActivityPausedError, ActivityResetError].some(
        (of) => error instanceof of,
      );
      if (!isHeard) throw error;
    }
  }

  /**
   * What a dead process of this worker's identity held is free at once; not under a ceiling, where its calls may go on at the agent
   * and its place is kept until its heartbeats have run out.
   */
  async #evictPredecessors(seen: readonly Seen[], settings: LimitSettings): Promise<void> {
    if (settings.maxConcurrency !== undefined || this.context.configured.maxConcurrency !== undefined) return;
    for (const { id, beatMs, report } of seen) {
      if (id === this.#id || report?.identity !== this.context.identity) continue;
      const before = this.#silent.get(id);
      if (before === undefined || before.beatMs !== beatMs) this.#silent.set(id, { beatMs, sinceMs: Date.now() });
      else if (Date.now() - before.sinceMs > PREDECESSOR_SILENCE_MS) await this.#complete(id);
    }
  }

  async #giveUp(): Promise<void> {
    // What goes on at the agent still counts under a ceiling: then the place is free when the heartbeats have run out.
    const hasCeiling = Object.keys(this.gate.ceilings).length > 0;
    if (hasCeiling && this.gate.report().inFlight > 0) return;
    this.gate.setCeilings({});
    await this.#complete(this.#id);
  }

  async #complete(activityId: string): Promise<void> {
    try {
      await this.#call((client) => client.activity.complete({ workflowId: this.#workflowId, activityId }, undefined));
    } catch {
      // It is gone already, or will be when its heartbeats have run out.
    }
  }

  #becomeReady(): void {
    this.#isReady = true;
    this.#resolveReady();
  }

  #isIdle(): boolean {
    const { inFlight, waiting } = this.gate.report();
    return inFlight === 0 && waiting === 0;
  }

  #noteContact(): void {
    this.#toldAtMs = Date.now();
    if (!this.#isCutOff) return;
    this.#isCutOff = false;
    this.context.log.info('The other workers of this agent can be reached again', { agent: this.agentRid });
  }

  #noteCutOff(error: unknown): void {
    if (this.#isCutOff || this.hasLeft || Date.now() - this.#toldAtMs < MEMBER_TIMEOUT_MS) return;
    this.#isCutOff = true;
    this.context.log.warn('The other workers of this agent cannot be reached: going on with the last share', {
      agent: this.agentRid,
      error,
    });
  }

  #call<T>(call: (client: Client) => Promise<T>): Promise<T> {
    const { client } = this.context;
    return client.withDeadline(Date.now() + CALL_TIMEOUT_MS, () => call(client));
  }
}
