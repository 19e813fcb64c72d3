import { invalidRequest } from './errors.js';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** @throws ApiError `Default:InvalidArgument` unless the value is a UUID or absent. */
export function checkUuid(field: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !uuid.test(value)) throw invalidRequest(`${field} must be a UUID`);
  return value;
}

/** @throws ApiError `Default:InvalidArgument` unless the value is a string. */
export function checkText(field: string, value: unknown): string {
  if (typeof value !== 'string') throw invalidRequest(`${field} must be a string`);
  return value;
}

/** @throws ApiError `Default:InvalidArgument` for a field that the operation does not have. */
export function refuseUnknownFields(body: Record<string, unknown>, fields: readonly string[]): void {
  for (const field of Object.keys(body)) {
    if (!fields.includes(field)) throw invalidRequest(`unknown field ${field}`);
  }
}
