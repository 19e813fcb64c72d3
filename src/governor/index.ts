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
export type { Ceilings, Flow } from '../protocol/limits.js';
export type { GovernorObserver, ObservedCall } from './observer.js';
