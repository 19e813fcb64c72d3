import { kindOf, withArticle } from '../checks/shown-value.js';

/** Why a value is not of the type of an input; absent when it is, or when the type is none. */
export function inputTypeProblem(value: unknown, type: unknown): string | undefined {
  if (typeof type !== 'string' || type === 'any') return undefined;
  if (kindOf(value) === withArticle(type)) return undefined;
  const known = ['string', 'number', 'boolean', 'object', 'array'];
  return known.includes(type) ? `is ${kindOf(value)}, but must be ${withArticle(type)}` : undefined;
}
