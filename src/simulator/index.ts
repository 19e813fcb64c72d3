import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { builtInAgents, orderAgent } from './agents.js';
import { slowText } from './answers.js';
import { setFaults } from './control.js';
import type { FaultRule } from './faults.js';
import type { Ledger, LedgerSummary } from './ledger.js';
import { createSimulatorServer } from './server.js';
import { optionsSchema, parseSettings } from './settings.js';
import type { SimulatorOptions, SimulatorSettings } from './settings.js';
import { SimulatorState } from './state.js';

export { orderAgent, plainAgent, unpublishedAgent } from './agents.js';
export type { AgentDefinition, AgentVersionDefinition, ParameterDefinition, ParameterType } from './agents.js';
export { parameterUpdates, parseDirectives, simulatedAnswer, slowText } from './answers.js';
export type { AnswerInput, Directives, ParameterUpdate } from './answers.js';
export { documentedErrorNames } from './errors.js';
export type { DocumentedErrorName, ErrorBody } from './errors.js';
export type { ExchangeStatus } from './exchange.js';
export type { FaultRule } from './faults.js';
export type { Ledger, LedgerCancel, LedgerDuplicate, LedgerExchange, LedgerSummary, LedgerTotals } from './ledger.js';
export type { ParameterInput, ParameterInputs } from './parameters.js';
export type { OperationName } from './routes.js';
export { InvalidSettingsError } from './settings.js';
export type { SimulatorOptions, SimulatorSettings } from './settings.js';

/** A running simulator: what to tell a client about it, and the levers that tests pull. */
export interface Simulator {
  /** Base URL, as `FOUNDRY_URL` takes it. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** A bearer token with both scopes of the API. */
  readonly token: string;
  /** The default agent: string and objectSet parameters, READ_ONLY and READ_WRITE, versions 1.0, 1.1 and 2.0. */
  readonly agentRid: string;
  /** All agents, the default one first, those of the options last. */
  readonly agentRids: readonly string[];
  readonly clientId: string;
  readonly clientSecret: string;
  /** A user text whose streamed answer takes 5 seconds. */
  readonly slowText: string;
  /** Everything seen since the start or the last reset; for thousands of exchanges take `summary()`. */
  ledger(): Ledger;
  summary(): LedgerSummary;
  /** Replaces all fault rules. @throws InvalidSettingsError */
  setFaults(rules: readonly FaultRule[]): void;
  /** Changes the settings named; what runs already keeps its time. @throws InvalidSettingsError */
  changeSettings(change: Partial<SimulatorSettings>): void;
  /** Makes a session expire now; false if there is none. */
  expireSession(sessionRid: string): boolean;
  /** Makes tokens expire now: those issued to OAuth clients, or the one given. Returns how many. */
  expireTokens(token?: string): number;
  /** Forgets sessions, exchanges, faults and the ledger. Settings and tokens stay. */
  reset(): void;
  /** Breaks all connections, stops all exchanges and frees the port. */
  close(): Promise<void>;
}

/**
 * Starts a server that speaks the AIP Agents API (v2, preview) over HTTP, with answers that are a function of the question.
 *
 * @throws InvalidSettingsError naming the option; Node's own error when the port is taken.
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const checked = parseSettings('options', optionsSchema, options);
  const state = new SimulatorState(checked);
  const server = createSimulatorServer(state);
  server.listen(checked.port, checked.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${reachableHost(checked.host)}:${port}`,
    host: checked.host,
    port,
    token: checked.token,
    agentRid: orderAgent.agentRid,
    agentRids: [...builtInAgents, ...checked.agents].map((agent) => agent.agentRid),
    clientId: checked.clientId,
    clientSecret: checked.clientSecret,
    slowText,
    ledger: () => state.ledger.read(),
    summary: () => state.ledger.summary(),
    setFaults: (rules) => setFaults(state, rules),
    changeSettings: (change) => state.changeSettings(change),
    expireSession(sessionRid) {
      const session = state.sessions.get(sessionRid);
      session?.expire();
      return session !== undefined;
    },
    expireTokens: (token) => state.credentials.expire(token),
    reset: () => state.reset(),
    async close() {
      state.close();
      server.closeAllConnections();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
}

/** A host that a client on this machine can connect to. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/** The line that announces a simulator to scripts: one JSON object with all that a client needs. */
export function simulatorReadyLine(simulator: Simulator): string {
  const { url, token, agentRid, slowText: slow, agentRids, clientId, clientSecret } = simulator;
  const ledgerUrl = `${url}/simulator/ledger`;
  return JSON.stringify({ url, token, agentRid, slowText: slow, agentRids, clientId, clientSecret, ledgerUrl });
}
