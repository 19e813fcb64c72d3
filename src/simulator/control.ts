import { z } from 'zod';
import { faultRuleSchema } from './faults.js';
import type { Reply } from './reply.js';
import { InvalidSettingsError, parseSettings } from './settings.js';
import type { SimulatorState } from './state.js';

const expireSessionSchema = z.strictObject({ sessionRid: z.string() });
const expireTokenSchema = z.strictObject({ token: z.string().optional() });
const rulesSchema = z.array(faultRuleSchema);

/** @throws InvalidSettingsError naming the rule and the field. */
export function setFaults(state: SimulatorState, rules: unknown): void {
  state.faults.set(parseSettings('faults', rulesSchema, rules));
}

type Control = (state: SimulatorState, body: unknown, query: URLSearchParams) => unknown;

/** What tests and operators may do from outside, below `/simulator/`; no token is asked for. */
const controls: Record<string, Control> = {
  'GET ledger': (state, _body, query) =>
    query.get('summary') === 'true' ? state.ledger.summary() : state.ledger.read(),
  'GET settings': (state) => state.settings,
  'PUT settings': (state, body) => {
    state.changeSettings(body);
    return state.settings;
  },
  'GET faults': (state) => state.faults.list(),
  'PUT faults': (state, body) => {
    setFaults(state, body);
    return state.faults.list();
  },
  'POST reset': (state) => {
    state.reset();
    return {};
  },
  'POST expireSession': (state, body) => {
    const session = state.sessions.get(parseSettings('body', expireSessionSchema, body).sessionRid);
    session?.expire();
    return { expired: session === undefined ? 0 : 1 };
  },
  'POST expireTokens': (state, body) => {
    const { token } = parseSettings('body', expireTokenSchema, body ?? {});
    return { expired: state.credentials.expire(token) };
  },
};

/** Serves a control call: 200 with JSON, 400 with the reason, 404 for a path there is not. */
export function serveControl(state: SimulatorState, name: string, queryText: string, body: string, reply: Reply): void {
  const control = Object.hasOwn(controls, name) ? controls[name] : undefined;
  if (control === undefined) {
    reply.json(404, { error: `Cannot ${name}: the simulator has ${Object.keys(controls).join(', ')}` });
    return;
  }
  try {
    const parsed: unknown = body === '' ? undefined : JSON.parse(body);
    reply.json(200, control(state, parsed, new URLSearchParams(queryText)));
  } catch (error) {
    if (error instanceof InvalidSettingsError) reply.json(400, { error: error.message });
    else if (error instanceof SyntaxError) reply.json(400, { error: `Cannot read the body as JSON: ${error.message}` });
    else reply.error(error);
  }
}
