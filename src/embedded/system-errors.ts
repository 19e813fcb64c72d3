/*
 * By their properties, not by `instanceof Error`: Node's own errors are of another realm where a sandbox runs us.
 */

/** The system's code of an error (`ENOENT`, `EADDRINUSE`, …), when it has one. */
export function errorCode(error: unknown): string | undefined {
  const code = property(error, 'code');
  return typeof code === 'string' ? code : undefined;
}

/** What an error says, without its class and stack. */
export function errorMessage(error: unknown): string {
  const message = property(error, 'message');
  return typeof message === 'string' ? message : String(error);
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
