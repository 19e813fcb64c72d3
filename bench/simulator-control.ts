import type { Ledger, LedgerExchange, LedgerSummary, SimulatorSettings } from '../src/simulator/index.js';

/** The simulator's levers, over HTTP. */
export class SimulatorControl {
  constructor(
    readonly url: string,
    readonly token: string,
  ) {}

  /** Forgets everything seen so far, sessions included. */
  async reset(): Promise<void> {
    await this.#call('POST', 'reset');
  }

  async change(settings: SimulatorSettings): Promise<void> {
    await this.#call('PUT', 'settings', settings);
  }

  async summary(): Promise<LedgerSummary> {
    return (await this.#call('GET', 'ledger?summary=true')) as LedgerSummary;
  }

  async ledger(): Promise<Ledger> {
    return (await this.#call('GET', 'ledger')) as Ledger;
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.url}/simulator/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: the simulator answered ${response.status}`);
    return response.json();
  }
}

/** Time that the agent itself took for an exchange, in milliseconds. */
export function agentMs({ startedAt, endedAt }: LedgerExchange): number {
  if (endedAt === undefined) throw new Error('An exchange that was measured has not ended');
  return Date.parse(endedAt) - Date.parse(startedAt);
}
