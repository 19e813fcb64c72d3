/** A number gathered over the last moments: two windows of equal length, the one that fills and the one before. */
export interface SlidingWindow {
  /** When the current window began, in milliseconds. */
  sinceMs: number;
  current: number;
  previous: number;
}

/** The window with a change to what it gathers now. A window begins with 0. */
export function slide(
  window: SlidingWindow,
  nowMs: number,
  lengthMs: number,
  change: (value: number) => number,
): SlidingWindow {
  const elapsedMs = nowMs - window.sinceMs;
  if (elapsedMs < lengthMs) return { ...window, current: change(window.current) };
  return { sinceMs: nowMs, current: change(0), previous: elapsedMs < 2 * lengthMs ? window.current : 0 };
}

/** The greater of both windows' values. */
export function peakOf(window: SlidingWindow): number {
  return Math.max(window.current, window.previous);
}

/** The sum over the last `lengthMs`, taking the older window to be spread evenly. */
export function sumOf(window: SlidingWindow, nowMs: number, lengthMs: number): number {
  const share = Math.min(1, (nowMs - window.sinceMs) / lengthMs);
  return window.current + window.previous * (1 - share);
}
