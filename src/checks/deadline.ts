import { shown } from './shown-value.js';

/** A deadline as it may be written. */
export const DEADLINE_EXAMPLE = '2026-11-22T18:00:00Z';

const MOMENT =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const WITHOUT_ZONE = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?$/;

/**
 * What is wrong with a deadline: it must be an ISO 8601 date and time with its zone, to the minute or finer. One that has
 * passed is none of the reader's business: the same file, submitted again, must be the same batch.
 */
export function deadlineProblem(value: unknown): string | undefined {
  const text = typeof value === 'string' ? value : '';
  const [, year, month, day] = MOMENT.exec(text) ?? [];
  if (day !== undefined) {
    if (isDay(Number(year), Number(month), Number(day))) return undefined;
    return `is ${shown(value)}, a day that no calendar has; write it like ${DEADLINE_EXAMPLE}`;
  }
  if (WITHOUT_ZONE.test(text)) {
    return `is ${shown(value)}, which lacks its zone; write it like ${DEADLINE_EXAMPLE} or 2026-11-22T19:00:00+01:00`;
  }
  return `is ${shown(value)}, but must be a date and time with its zone; write it like ${DEADLINE_EXAMPLE}`;
}

function isDay(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
