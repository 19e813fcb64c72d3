import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { slowText, type Ledger, type LedgerSummary } from '../simulator/index.js';
import { environment } from '../settings.js';
import type { DevState } from './dev-state.js';
import type { Output } from './output.js';

/** A running `aip-temporal dev`, as the demo sees it. */
export interface DevReady {
  uiUrl: string;
  summary(): Promise<LedgerSummary>;
}

const READY_TIMEOUT_MS = 10 * 60 * 1000;

/** Where the demo plays: a `dev` process of its own, and the commands that are run against it as a person would. */
export class DemoStage {
  private readonly children = new Set<ChildProcess>();
  readonly slowText = slowText;

  private constructor(
    readonly directory: string,
    private readonly dev: ChildProcess,
    private readonly state: DevState & { foundry: { url: string } },
    private readonly output: Output,
    private readonly signal: AbortSignal,
  ) {}

  /** Starts `dev` and waits until it is ready. */
  static async open(directory: string, output: Output, signal: AbortSignal): Promise<DemoStage> {
    mkdirSync(directory, { recursive: true });
    const ports = ['--temporal-port', '0', '--ui-port', '0', '--simulator-port', '0'];
    // A process group of its own: Ctrl-C reaches the demo alone, which ends things in order.
    const dev = spawn(process.execPath, [...cli(), 'dev', '--json', '--data-dir', directory, ...ports], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    const state = await firstLine(dev, signal);
    return new DemoStage(directory, dev, JSON.parse(state) as DevState & { foundry: { url: string } }, output, signal);
  }

  get ready(): DevReady {
    return {
      uiUrl: this.state.uiUrl,
      summary: () => this.get<LedgerSummary>('/simulator/ledger?summary=true'),
    };
  }

  get isStopped(): boolean {
    return this.signal.aborted;
  }

  /** What the agent has seen. */
  readonly ledger = (): Promise<Ledger> => this.get<Ledger>('/simulator/ledger');

  /** Says and runs a command of ours, at this terminal. @returns Its exit code. */
  async run(args: string[]): Promise<number> {
    this.signal.throwIfAborted();
    this.output.note(`$ aip-temporal ${args.map(quoted).join(' ')}`);
    const child = spawn(process.execPath, [...cli(), ...args], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...environment(), ...this.environment },
    });
    this.children.add(child);
    const [code] = (await once(child, 'exit')) as [number | null];
    this.children.delete(child);
    return code ?? 1;
  }

  async until(what: string, condition: () => Promise<boolean>, deadlineMs = 30_000): Promise<void> {
    const end = Date.now() + deadlineMs;
    while (!(await condition())) {
      this.signal.throwIfAborted();
      if (Date.now() > end) throw new Error(`Waited ${deadlineMs / 1000} s in vain until ${what}`);
      await delay(50);
    }
  }

  /** Resolves at Ctrl-C, or when `dev` ends. */
  async untilStopped(): Promise<void> {
    if (this.signal.aborted) return;
    await Promise.race([once(this.signal, 'abort'), once(this.dev, 'exit')]);
  }

  /** Stops everything. */
  async close(): Promise<void> {
    for (const child of this.children) child.kill('SIGTERM');
    if (this.dev.exitCode !== null) return;
    const exited = once(this.dev, 'exit');
    this.dev.kill('SIGTERM');
    await exited;
  }

  private get environment(): Record<string, string> {
    const { temporalAddress, agentRid, taskQueue } = this.state;
    return {
      TEMPORAL_ADDRESS: temporalAddress,
      AIP_TASK_QUEUE: taskQueue,
      ...(agentRid === undefined ? {} : { AIP_AGENT_RID: agentRid }),
    };
  }

  private async get<T>(path: string): Promise<T> {
    const response = await fetch(this.state.foundry.url + path);
    if (!response.ok) throw new Error(`The simulator answered ${path} with HTTP ${response.status}`);
    return (await response.json()) as T;
  }
}

/** How this program is run again. */
const cli = (): string[] => [process.argv[1] ?? 'aip-temporal'];

const quoted = (argument: string): string =>
  /^[\w./:=@-]+$/.test(argument) ? argument : `"${argument.replace(/(["$`\\])/g, '\\$1')}"`;

/** The first line of a process's standard output; fails when it ends first. */
async function firstLine(child: ChildProcess, signal: AbortSignal): Promise<string> {
  if (child.stdout === null) throw new Error('The process has no standard output');
  const lines = createInterface({ input: child.stdout });
  const line = new Promise<string>((resolve) => lines.once('line', resolve));
  const ended = once(child, 'exit').then(([code]): never => {
    throw new Error(`\`aip-temporal dev\` ended with exit code ${String(code)} before it was ready`);
  });
  const waited = delay(READY_TIMEOUT_MS, undefined, { ref: false }).then((): never => {
    throw new Error('`aip-temporal dev` was not ready within 10 minutes');
  });
  const stopped = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  try {
    return await Promise.race([line, ended, waited, stopped]);
  } catch (error) {
    child.kill('SIGTERM');
    throw error;
  } finally {
    ended.catch(() => undefined); // Told above while it mattered.
    waited.catch(() => undefined);
    stopped.catch(() => undefined);
  }
}
