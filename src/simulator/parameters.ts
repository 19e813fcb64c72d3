import type { AgentVersionDefinition } from './agents.js';
import { documentedError, invalidRequest } from './errors.js';
import type { ErrorValues } from './errors.js';

/** A value handed in for an application variable. */
export type ParameterInput =
  { type: 'string'; value: string } | { type: 'objectSet'; ontology: string; objectSet: Record<string, unknown> };

/** Values by the name of the variable. */
export type ParameterInputs = Record<string, ParameterInput>;

/** Whether a parsed JSON value is an object, and not an array or null. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Checks parameter inputs against the variables of the session's agent version.
 *
 * @throws ApiError InvalidParameter for a name the version does not have, InvalidParameterType for a value of the other
 *   type, `Default:InvalidArgument` for a value that has no such shape at all.
 */
export function checkParameterInputs(
  value: unknown,
  version: AgentVersionDefinition,
  ids: ErrorValues,
): ParameterInputs {
  if (value === undefined) return {};
  if (!isRecord(value)) throw invalidRequest('parameterInputs must be an object');
  for (const [parameter, input] of Object.entries(value)) {
    const definition = Object.hasOwn(version.parameters, parameter) ? version.parameters[parameter] : undefined;
    if (definition === undefined) throw documentedError('InvalidParameter', { ...ids, parameter });
    if (!isRecord(input) || (input['type'] !== 'string' && input['type'] !== 'objectSet')) {
      throw invalidRequest(`parameterInputs.${parameter} must be an object with type "string" or "objectSet"`);
    }
    const expectedType = definition.parameterType.type;
    const receivedType = input['type'];
    if (receivedType !== expectedType) {
      throw documentedError('InvalidParameterType', { ...ids, parameter, expectedType, receivedType });
    }
    checkShape(parameter, input);
  }
  return value as ParameterInputs;
}

function checkShape(parameter: string, input: Record<string, unknown>): void {
  if (input['type'] === 'string') {
    if (typeof input['value'] !== 'string') throw invalidRequest(`parameterInputs.${parameter}.value must be a string`);
    return;
  }
  if (typeof input['ontology'] !== 'string') {
    throw invalidRequest(`parameterInputs.${parameter}.ontology must be a string`);
  }
  const objectSet = input['objectSet'];
  if (!isRecord(objectSet) || typeof objectSet['type'] !== 'string') {
    throw invalidRequest(`parameterInputs.${parameter}.objectSet must be an object with a type`);
  }
}
