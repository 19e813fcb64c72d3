/** The middle and the slow end of some measurements. */
export interface Distribution {
  p50: number;
  p95: number;
  p99: number;
  count: number;
}

/** @throws Error without values. */
export function distribution(values: readonly number[]): Distribution {
  return { p50: quantile(values, 0.5), p95: quantile(values, 0.95), p99: quantile(values, 0.99), count: values.length };
}

/** The middle value. @throws Error without values. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The nearest-rank quantile: always a value that was measured. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new Error('Nothing was measured');
  return value;
}
