/** The Temporal server for people without one: finds or gets the Temporal CLI, and runs its server. */
export { DataDirectoryInUseError } from './data-directory.js';
export {
  type FailedWay,
  findTemporalCli,
  type FindTemporalCliOptions,
  type TemporalCli,
  TemporalCliNotFoundError,
  type TemporalCliSource,
} from './find-temporal-cli.js';
export { PortTakenError } from './ports.js';
export type { SearchAttributeTypeName } from './server-arguments.js';
export type { ServerExit } from './server-process.js';
export { startTemporalServer, type TemporalServer, type TemporalServerOptions } from './temporal-server.js';
