import type { ExchangeMode } from '../src/protocol/exchange.js';

/** What a run of chaos is made of. The same options and seed make the same plan. */
export interface ChaosOptions {
  seed: string;
  /** New work and disturbances stop after this long; then all must come to its end. */
  minutes: number;
  /** They stop earlier when so many exchanges have ended. */
  exchanges: number;
  serverKind: 'withTraces' | 'fivePages';
  /** `mixed`: mostly streaming. */
  mode: ExchangeMode | 'mixed';
  /** Conversations at once; when one has ended another begins. */
  conversations: number;
  /** Rows of each batch; when one has ended another begins. 0: no batches. */
  rows: number;
  /** Items of each automation, of two questions each; when one has ended another begins. 0: no automations. */
  items: number;
  workers: number;
  /** Share of the calls of the API that go wrong. */
  faults: number;
  /** Mean time between two kills, in seconds; 0: none. */
  workerKillSeconds: number;
  serverKillSeconds: number;
}

/** What was done to the installation and by its users. */
export interface Disturbances {
  workerKills: number;
  deploys: number;
  serverKills: number;
  exchangeCancels: number;
  conversationCancels: number;
  terminates: number;
  closes: number;
  pauses: number;
  resets: number;
  expiries: number;
  batchCancels: number;
  /** Pauses, changes of the rows at once, cancels of single rows. */
  batchSteers: number;
  automationCancels: number;
}

export const noDisturbances = (): Disturbances => ({
  workerKills: 0,
  deploys: 0,
  serverKills: 0,
  exchangeCancels: 0,
  conversationCancels: 0,
  terminates: 0,
  closes: 0,
  pauses: 0,
  resets: 0,
  expiries: 0,
  batchCancels: 0,
  batchSteers: 0,
  automationCancels: 0,
});
