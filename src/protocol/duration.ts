const UNIT_MS = {
  w: 604_800_000,
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
} as const;

/** The longest that anything in a plan may take or wait (milliseconds): ten years. */
export const LONGEST_MS = 3_650 * UNIT_MS.d;

const SHORT = /^(?=\d)(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;
const ISO = /^P(?=\d|T\d)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,3})?)S)?)?$/;

/** How durations may be written, for editors; `durationMs` decides. */
export const DURATION_PATTERN = new RegExp(`${SHORT.source}|${ISO.source}`);

export const DURATION_EXAMPLE = '10m, 1h30m, 3d or PT10M';

/** Reads `500ms`, `10s`, `1h30m`, `3d`, `1w` or ISO 8601 (`PT10M`, `P3D`). @returns Milliseconds; absent when it is none. */
export function durationMs(text: string): number | undefined {
  const found = SHORT.exec(text) ?? ISO.exec(text);
  if (found === null) return undefined;
  const units = Object.values(UNIT_MS);
  return Math.round(found.slice(1).reduce((sum, count, index) => sum + Number(count ?? 0) * (units[index] ?? 0), 0));
}
