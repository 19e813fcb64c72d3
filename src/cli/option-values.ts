import type { BatchCanary } from '../protocol/batch.js';
import { durationMs, LONGEST_MS } from '../protocol/duration.js';
import { UsageError } from './command.js';

/** Reads a duration of an option: `90s`, `6h`, `1h30m`. @returns Milliseconds. */
export const durationOption =
  (name: string): ((text: string) => number) =>
  (text) => {
    const ms = durationOf(text);
    if (ms !== undefined) return ms;
    throw new UsageError(`Mend ${name}: "${text}" is no duration such as 90s, 20m, 6h or 2d`);
  };

/** As in plans. Absent when it is none, or nothing. */
function durationOf(text: string): number | undefined {
  const ms = durationMs(text);
  return ms !== undefined && ms > 0 && ms <= LONGEST_MS ? ms : undefined;
}

/** With its zone: that of this machine may be another than the one in mind, or where the file is submitted again. */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/;

/** Reads a point in time of an option: ISO 8601, or a duration from now on. @returns ISO 8601, in UTC. */
export const timeOption =
  (name: string, now: () => number = Date.now): ((text: string) => string) =>
  (text) => {
    const ms = durationOf(text);
    const at = ms === undefined && MOMENT.test(text) ? Date.parse(text) : now() + (ms ?? Number.NaN);
    if (!Number.isNaN(at)) return new Date(at).toISOString();
    throw new UsageError(
      `Mend ${name}: "${text}" is neither a time with its zone such as 2030-01-31T18:00Z nor a duration such as 6h`,
    );
  };

/** Reads a point in time that has passed: ISO 8601, or a duration before now. @returns ISO 8601, in UTC. */
export const pastTimeOption =
  (name: string, now: () => number = Date.now): ((text: string) => string) =>
  (text) => {
    const ms = durationOf(text);
    const at = ms === undefined && MOMENT.test(text) ? Date.parse(text) : now() - (ms ?? Number.NaN);
    if (at <= now()) return new Date(at).toISOString();
    throw new UsageError(
      `Mend ${name}: "${text}" is neither a time that has passed, with its zone, such as 2026-03-01T18:00Z nor a duration before now such as 7d`,
    );
  };

/** Reads a number, whole or decimal. */
export const numberOption =
  (name: string, least: number, most: number): ((text: string) => number) =>
  (text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new UsageError(`Mend ${name}: "${text}" is not a number from ${least} to ${most}`);
  };

/** Reads `VERSION=10%`. */
export function canaryOption(text: string): BatchCanary {
  const [, agentVersion, share] = /^(.+)=(\d+(?:\.\d+)?)%$/.exec(text) ?? [];
  const percent = Number(share);
  if (agentVersion !== undefined && percent > 0 && percent < 100) return { agentVersion, percent };
  throw new UsageError(`Mend --canary: "${text}" is not of the form VERSION=10%, with a share above 0% and below 100%`);
}

/** Collects the values of an option that may be repeated. */
export const repeated = (text: string, before: unknown): string[] => [
  ...((before as string[] | undefined) ?? []),
  text,
];
