/** What is to be said between two looks of Temporal, which has gone away, or is back. */
export function outageNews(before: { outage?: string } | undefined, after: { outage?: string }): string | undefined {
  if (before?.outage === after.outage) return undefined;
  return after.outage ?? 'Temporal answers again';
}
