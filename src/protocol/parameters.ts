import type { ParameterInputs, ParameterUpdates, ParameterValue } from './exchange.js';

/**
 * The inputs of the next exchange: those of this one, with what the agent changed.
 *
 * A `string` update replaces the value. An `objectSet` update is the RID of a set, while an input wants a definition of one
 * with its ontology: it becomes a reference to that RID in the ontology of the earlier input, and is left out when there
 * was none. Updates of other types are left out.
 */
export function carryOverParameters(inputs: ParameterInputs, updates: ParameterUpdates): ParameterInputs {
  const next: ParameterInputs = { ...inputs };
  for (const [id, update] of Object.entries(updates)) {
    const value = inputOf(update.type, update.value, inputs[id]);
    if (value !== undefined) next[id] = value;
  }
  return next;
}

function inputOf(type: string, value: unknown, earlier: ParameterValue | undefined): ParameterValue | undefined {
  if (typeof value !== 'string') return undefined;
  if (type === 'string') return { type: 'string', value };
  if (type === 'objectSet' && earlier?.type === 'objectSet') {
    return { type: 'objectSet', ontology: earlier.ontology, objectSet: { type: 'reference', reference: value } };
  }
  return undefined;
}
