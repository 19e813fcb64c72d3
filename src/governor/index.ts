export {
  type AcquireInput,
  type GateStatus,
  type Governor,
  type GovernorOptions,
  type Permit,
  type Priority,
  type Wait,
  createGovernor,
} from './governor.js';
export type { Ceilings } from './limit-state.js';
export type { GovernorObserver, ObservedCall } from './observer.js';
