/** Whether Temporal can start something at such times: what it says of them itself names neither what was met nor what to give. */
import { DAYS_OF_WEEK, MONTHS } from '@temporalio/client';
import { suggestKey } from '../checks/misspelt-keys.js';

/** A field of a cron expression, as Temporal reads it (its server: `service/worker/scheduler/calendar.go`). */
interface CronField {
  name: string;
  least: number;
  most: number;
  /** In their order from `least` on; so many letters of one will do. */
  words?: { names: readonly string[]; letters: number };
}

const SECOND: CronField = { name: 'second', least: 0, most: 59 };
const FIVE: readonly CronField[] = [
  { name: 'minute', least: 0, most: 59 },
  { name: 'hour', least: 0, most: 23 },
  { name: 'day of month', least: 1, most: 31 },
  { name: 'month', least: 1, most: 12, words: { names: MONTHS, letters: 3 } },
  { name: 'day of week', least: 0, most: 7, words: { names: DAYS_OF_WEEK, letters: 2 } },
];
const YEAR: CronField = { name: 'year', least: 2000, most: 2100 };

/** By their number. */
const FIELDS: Readonly<Record<number, readonly CronField[]>> = {
  5: FIVE,
  6: [...FIVE, YEAR],
  7: [SECOND, ...FIVE, YEAR],
};

const WORDS = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

const EXAMPLE = 'as in "0 6 * * 1-5" (six on working days)';

/** What is wrong with a cron expression, and what to give instead; undefined: nothing that is known here. */
export function cronProblem(expression: string): string | undefined {
  if (/\S#/.test(expression)) return 'it has a # within a field, and there is none of those; days are numbers or names';
  const [whole = ''] = expression.split('#');
  const zoned = /^\s*(?:CRON_)?TZ=(\S*)\s*(.*)$/s.exec(whole);
  const zone = zoned?.[1];
  const zoneIsNone = zone === undefined ? undefined : zoneProblem(zone);
  if (zoneIsNone !== undefined) return `its time zone "${zone}": ${zoneIsNone}`;
  const times = (zoned?.[2] ?? whole).trim();
  // The server's to read: its bounds are those of intervals.
  if (times.startsWith('@every ')) return undefined;
  if (times.startsWith('@')) {
    return WORDS.includes(times) ? undefined : `"${times}" is none of ${WORDS.join(', ')}, @every 1h`;
  }
  const given = times === '' ? [] : times.split(/\s+/);
  const fields = FIELDS[given.length];
  if (fields === undefined) {
    const names = FIVE.map(({ name }) => name).join(', ');
    return `it has ${given.length} ${given.length === 1 ? 'field' : 'fields'}; give five (${names}), ${EXAMPLE}`;
  }
  for (const [index, field] of fields.entries()) {
    if (!isField(given[index] ?? '', field)) return `${field.name} is "${given[index]}"; give ${expected(field)}`;
  }
  return undefined;
}

function expected({ least, most, words }: CronField): string {
  const names = words === undefined ? '' : `, names such as ${words.names[1]?.slice(0, 3).toLowerCase()}`;
  const [a, b] = [least + 1, least + 4];
  return `${least} to ${most}${names}, or * for all; also ranges (${a}-${b}), lists (${a},${b}) and steps (*/2)`;
}

const isField = (text: string, field: CronField): boolean => text.split(',').every((part) => isPart(part, field));

function isPart(part: string, field: CronField): boolean {
  const [span = '', step, ...more] = part.split('/');
  if (more.length > 0 || (step !== undefined && !(Number(step) >= 1 && /^\+?\d+$/.test(step)))) return false;
  if (span === '*') return true;
  const bounds = span.split('-').map((bound) => valueOf(bound, field));
  const [start = Number.NaN, end = start] = bounds;
  return bounds.length <= 2 && start >= field.least && end >= start && end <= field.most;
}

function valueOf(text: string, { least, words }: CronField): number {
  if (/^\+?\d+$/.test(text)) return Number(text);
  if (words === undefined || text.length < words.letters) return Number.NaN;
  const index = words.names.findIndex((name) => name.startsWith(text.toUpperCase()));
  return index < 0 ? Number.NaN : index + least;
}

const NO_ZONE = 'no time zone has this name;';
/** Of a name that is like no other. */
export const UNKNOWN_ZONE = `${NO_ZONE} give an IANA name, such as Europe/Berlin, America/New_York or UTC`;

/** Of three capitals, those that are names of zones; others, such as PST, Node.js takes all the same. */
const ABBREVIATIONS = 'CET EET EST GMT HST MET MST PRC ROC ROK UCT UTC WET'.split(' ');

/** What is wrong with the name of a time zone, and what to give instead; undefined: nothing that is known here. */
export function zoneProblem(zone: string): string | undefined {
  const near = /^[A-Z]{3}$/.test(zone) ? unabbreviated(zone) : respelt(zone);
  if (near !== undefined) return `${NO_ZONE} did you mean "${near}"?`;
  // A zone that this Node.js is too old for may be one all the same: the server has the last word.
  return isZone(zone) || /^[A-Z]\w+\/\w/.test(zone) ? undefined : UNKNOWN_ZONE;
}

function unabbreviated(zone: string): string | undefined {
  if (ABBREVIATIONS.includes(zone)) return undefined;
  return isZone(zone) ? new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone : undefined;
}

/** The zone whose name differs in a letter or two, or in capitals, which count. */
function respelt(zone: string): string | undefined {
  const known = ['UTC', ...Intl.supportedValuesOf('timeZone')];
  if (known.includes(zone)) return undefined;
  const alike = known.find((name) => name.toLowerCase() === zone.toLowerCase());
  // Offsets are no names: UTC+2 is no misspelt UTC.
  const isName = zone.length > 3 && !/\d/.test(zone);
  return alike ?? (isName && !isZone(zone) ? suggestKey(zone, known) : undefined);
}

function isZone(zone: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }));
  } catch {
    // A RangeError: it knows no such zone.
    return false;
  }
}
