import type { FaultRule, Simulator, SimulatorSettings } from '../src/simulator/index.js';
import type { Random } from './random.js';

type Fault = FaultRule['fault'];

/** How often which fault strikes a continue, by weight: what a network, a proxy and the API itself do wrong. */
const CONTINUE_FAULTS: readonly [weight: number, fault: Fault][] = [
  [3, { kind: 'dropBefore' }],
  [4, { kind: 'dropAfterLanding' }],
  [1, { kind: 'hang', lands: true }],
  [1, { kind: 'hang', lands: true, afterBytes: 10 }],
  [0.5, { kind: 'hang' }],
  [3, { kind: 'cutStream', afterBytes: 20 }],
  [2, { kind: 'cutStream', afterBytes: 40, clean: true }],
  [2, { kind: 'status', status: 502, lands: true }],
  [1, { kind: 'status', status: 502 }],
  [2, { kind: 'status', status: 503 }],
  [2, { kind: 'status', status: 504, lands: true }],
  [2, { kind: 'status', status: 429 }],
  [2, { kind: 'error', errorName: 'RateLimitExceeded' }],
  [2, { kind: 'error', errorName: 'SessionExecutionFailed', afterMs: 100 }],
  [3, { kind: 'delay', ms: 400 }],
  [1, { kind: 'delay', ms: 1_500 }],
];

/** The same for the other calls. */
const OTHER_FAULTS: readonly [weight: number, fault: Fault][] = [
  [2, { kind: 'dropBefore' }],
  [2, { kind: 'dropAfterLanding' }],
  [2, { kind: 'status', status: 503 }],
  [1, { kind: 'status', status: 504, lands: true }],
  [1, { kind: 'status', status: 429 }],
  [2, { kind: 'delay', ms: 500 }],
];

const CONTINUES: FaultRule['operation'] = ['blockingContinue', 'streamingContinue'];
const OTHERS: FaultRule['operation'] = ['createSession', 'getContent', 'cancel', 'getSessionTrace', 'getSession'];

/** Fault rules by which that share of all calls goes wrong. Each rule draws by itself, from a generator of its own. */
export function faultRules(random: Random, share: number): FaultRule[] {
  const rulesOf = (operation: FaultRule['operation'], faults: readonly [number, Fault][]): FaultRule[] => {
    const total = faults.reduce((sum, [weight]) => sum + weight, 0);
    return faults.map(([weight, fault]) => ({
      ...(operation === undefined ? {} : { operation }),
      match: { probability: (share * weight) / total, seed: random.whole(1, 2 ** 30) },
      fault,
    }));
  };
  return share === 0 ? [] : [...rulesOf(CONTINUES, CONTINUE_FAULTS), ...rulesOf(OTHERS, OTHER_FAULTS)];
}

/** What lags, and what starts slowly, for the next while. */
export function settingsOf(random: Random): SimulatorSettings {
  return {
    contentLagMs: random.pick([0, 0, 100, 800]),
    traceLagMs: random.pick([0, 0, 100, 500]),
    cancelTooEarlyMs: random.pick([0, 0, 300, 1_500]),
    failedCallsUseUpTraceIds: random.chance(0.5),
    streamAfterCancel: random.pick(['silent', 'goesOn'] as const),
  };
}

const CALM: SimulatorSettings = { contentLagMs: 0, traceLagMs: 0, cancelTooEarlyMs: 0 };

/** Ends the faults, the lags and the slow starts. */
export function calm(simulator: Simulator): void {
  simulator.setFaults([]);
  simulator.changeSettings(CALM);
}
