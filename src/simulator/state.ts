import { AgentDirectory, builtInAgents } from './agents.js';
import { Credentials } from './credentials.js';
import { Faults } from './faults.js';
import { LedgerBook } from './ledger.js';
import { LimitBook } from './limits.js';
import { SessionStore } from './sessions.js';
import { changedSettings, settingsSchema } from './settings.js';
import type { CheckedOptions, CheckedSettings } from './settings.js';

/** All that one simulator knows. */
export class SimulatorState {
  readonly agents: AgentDirectory;
  readonly sessions = new SessionStore();
  readonly credentials: Credentials;
  readonly faults = new Faults();
  readonly limits: LimitBook;
  readonly ledger = new LedgerBook();
  #settings: CheckedSettings;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(readonly options: CheckedOptions) {
    this.#settings = settingsSchema.strip().parse(options);
    this.agents = new AgentDirectory([...builtInAgents, ...options.agents]);
    this.credentials = new Credentials(options);
    this.limits = new LimitBook(this.#settings.limits);
    this.faults.set(options.faults);
  }

  get settings(): CheckedSettings {
    return this.#settings;
  }

  get serverKind(): 'withTraces' | 'fivePages' {
    return this.options.serverKind;
  }

  /** @throws InvalidSettingsError */
  changeSettings(change: unknown): void {
    const before = this.#settings;
    this.#settings = changedSettings(before, change);
    if (this.#settings.limits !== before.limits) this.limits.change(this.#settings.limits);
  }

  /** Forgets sessions, exchanges, faults and the ledger. Settings and tokens stay. */
  reset(): void {
    this.sessions.clear();
    this.faults.set([]);
    this.limits.forget();
    this.ledger.reset();
  }

  /** Runs something later, at once when the time is 0, and not at all once the simulator is closed. */
  later(delayMs: number, action: () => void): void {
    if (delayMs <= 0) {
      action();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, delayMs);
    this.#timers.add(timer);
  }

  /** Stops everything that still runs. */
  close(): void {
    this.sessions.clear();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
