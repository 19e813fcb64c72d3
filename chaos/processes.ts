import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { type ChildProgram, startProgram } from '../bench/child-program.js';
import { plainEnvironment } from '../bench/installation.js';
import { startTemporalServer, type TemporalServer, type TemporalServerOptions } from '../src/embedded/index.js';
import { SEARCH_ATTRIBUTE_TYPES } from '../src/protocol/search-attributes.js';

const cli = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

/** A Temporal server on a file, which may be killed and comes back with all that it knew, at the same address. */
export class KillableServer {
  #server: TemporalServer;
  #isComingBack: Promise<void> | undefined;

  private constructor(
    server: TemporalServer,
    private readonly options: TemporalServerOptions & { dataDir: string },
  ) {
    this.#server = server;
  }

  static async start(onProgress: (text: string) => void): Promise<KillableServer> {
    const dataDir = mkdtempSync(join(tmpdir(), 'aip-temporal-chaos-'));
    const options = { dataDir, searchAttributes: SEARCH_ATTRIBUTE_TYPES, onProgress };
    try {
      const server = await startTemporalServer(options);
      const { port, uiPort } = server;
      return new KillableServer(server, { ...options, port, uiPort, onProgress: () => undefined });
    } catch (error) {
      rmSync(dataDir, { recursive: true, force: true });
      throw error;
    }
  }

  get address(): string {
    return this.#server.address;
  }

  /** SIGKILL, and a new start after a while. */
  async kill(awayMs: number): Promise<void> {
    await this.#isComingBack;
    this.#server.kill('SIGKILL');
    this.#isComingBack = this.#comeBack(awayMs);
    await this.#isComingBack;
  }

  async stop(): Promise<void> {
    await this.#isComingBack;
    await this.#server.stop();
    rmSync(this.options.dataDir, { recursive: true, force: true });
  }

  async #comeBack(awayMs: number): Promise<void> {
    await this.#server.exited;
    await delay(awayMs);
    this.#server = await startTemporalServer(this.options);
  }
}

/** A worker that is started again whenever it has ended. */
export class KeptWorker {
  #program: ChildProgram | undefined;
  #isStopping = false;
  #awayMs = 0;
  readonly #kept: Promise<void>;

  constructor(
    private readonly identity: string,
    private readonly environment: NodeJS.ProcessEnv,
  ) {
    this.#kept = this.#keep();
  }

  /** Ends it by the signal, if it runs; it comes back after a while. False when it was not there. */
  async end(signal: 'SIGKILL' | 'SIGTERM', awayMs: number): Promise<boolean> {
    const program = this.#program;
    if (program === undefined) return false;
    this.#awayMs = awayMs;
    program.kill(signal);
    await program.exited;
    return true;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#program?.stop();
    await this.#kept;
  }

  async #keep(): Promise<void> {
    while (!this.#isStopping) {
      await delay(this.#awayMs);
      this.#awayMs = 100;
      try {
        const args = [
          cli,
          'worker',
          '--identity',
          this.identity,
          '--log-level',
          'ERROR',
          '--shutdown-grace-ms',
          '1000',
        ];
        this.#program = await startProgram({
          ...{ name: this.identity, args, env: { ...plainEnvironment(), ...this.environment }, stderr: 'ignore' },
          isReady: (line) => line.includes('ready'),
        });
      } catch {
        // Temporal is away: it is tried again, as a supervisor would.
        continue;
      }
      if (this.#isStopping) await this.#program.stop();
      await this.#program.exited;
      this.#program = undefined;
    }
  }
}
