import { Validator } from '@cfworker/json-schema';
import { shown } from '../checks/shown-value.js';
import { didYouMean, type FaultList, listOf, nearest } from './fault-list.js';
import { isObject, type PlanPath } from './plan-path.js';

const TYPES = ['string', 'number', 'integer', 'boolean', 'object', 'array', 'null'];

/** Keywords of JSON Schema 2020-12, by what their value must be. */
const SCHEMA = [
  'additionalProperties',
  'items',
  'contains',
  'propertyNames',
  'not',
  'if',
  'then',
  'else',
  'unevaluatedItems',
  'unevaluatedProperties',
];
const SCHEMAS_BY_NAME = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];
const SCHEMA_LISTS = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const WHOLE_NUMBERS = [
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'minContains',
  'maxContains',
];
const NUMBERS = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'];
const OTHERS = [
  'type',
  'enum',
  'const',
  'required',
  'pattern',
  'format',
  '$ref',
  'uniqueItems',
  'dependentRequired',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$schema',
  '$id',
  '$anchor',
  '$comment',
  '$dynamicRef',
  '$dynamicAnchor',
  '$vocabulary',
  'contentEncoding',
  'contentMediaType',
  'contentSchema',
];
const KEYWORDS = [...SCHEMA, ...SCHEMAS_BY_NAME, ...SCHEMA_LISTS, ...WHOLE_NUMBERS, ...NUMBERS, ...OTHERS];

/** Checks that a value is a JSON Schema (2020-12) that answers can be checked by. */
export function checkJsonSchema(schema: unknown, path: PlanPath, list: FaultList): void {
  if (!isObject(schema)) return;
  const before = list.faults.length;
  checkSchema(schema, path, list);
  checkReferences(schema, schema, path, list);
  if (list.faults.length > before) return;
  try {
    new Validator(schema, '2020-12', false).validate({});
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    list.fault(path, `is no JSON Schema that answers can be checked by: ${reason.slice(0, 200)}; mend it`);
  }
}

function checkSchema(schema: unknown, path: PlanPath, list: FaultList): void {
  if (typeof schema === 'boolean') return;
  if (!isObject(schema))
    return list.fault(path, `is ${shown(schema)}, but must be a JSON Schema; write an object, like { type: string }`);
  for (const [key, value] of Object.entries(schema)) {
    const at = [...path, key];
    if (SCHEMA.includes(key)) checkSchema(value, at, list);
    else if (SCHEMAS_BY_NAME.includes(key)) checkNamed(value, at, list);
    else if (SCHEMA_LISTS.includes(key)) checkList(value, at, list);
    else if (WHOLE_NUMBERS.includes(key)) checkNumber(value, at, list, true);
    else if (NUMBERS.includes(key)) checkNumber(value, at, list, false);
    else if (key === 'type') checkType(value, at, list);
    else if (key === 'enum') checkEnum(value, at, list);
    else if (key === 'required') checkRequired(value, schema, at, list);
    else if (key === 'pattern') checkPattern(value, at, list);
    else if (!KEYWORDS.includes(key)) checkKeyword(key, at, list);
  }
}

function checkNamed(value: unknown, path: PlanPath, list: FaultList): void {
  if (!isObject(value))
    return list.fault(path, `is ${shown(value)}, but must be an object of schemas; write { name: { type: string } }`);
  for (const [name, inner] of Object.entries(value)) {
    if (path.at(-1) === 'patternProperties') checkPattern(name, [...path, name], list);
    checkSchema(inner, [...path, name], list);
  }
}

function checkList(value: unknown, path: PlanPath, list: FaultList): void {
  if (!Array.isArray(value) || value.length === 0)
    return list.fault(path, `is ${shown(value)}, but must be a list of schemas; write at least one`);
  value.forEach((inner, index) => checkSchema(inner, [...path, index], list));
}

function checkNumber(value: unknown, path: PlanPath, list: FaultList, isWhole: boolean): void {
  const isRight = isWhole ? Number.isInteger(value) && Number(value) >= 0 : typeof value === 'number';
  if (!isRight)
    list.fault(
      path,
      `is ${typeof value === 'number' ? value : shown(value)}, but must be a ${isWhole ? 'whole number, 0 or more' : 'number'}; write one without quotes`,
    );
}

function checkType(value: unknown, path: PlanPath, list: FaultList): void {
  const types = Array.isArray(value) ? value : [value];
  types.forEach((type: unknown, index) => {
    if (typeof type === 'string' && TYPES.includes(type)) return;
    const { text, suggestion } = didYouMean(
      OTHER_TYPES[String(type)] ?? String(type),
      TYPES,
      `write one of ${listOf(TYPES)}`,
    );
    const at = Array.isArray(value) ? [...path, index] : path;
    const met = type === null ? 'null, which is written in quotes here, "null"' : shown(type);
    list.fault(at, `is ${met}, no type of JSON Schema; ${text}`, suggestion === undefined ? {} : { suggestion });
  });
  if (types.length === 0) list.fault(path, `is an empty list; write one of ${listOf(TYPES)}`);
}

/** Types of other languages. */
const OTHER_TYPES: Readonly<Record<string, string>> = {
  int: 'integer',
  float: 'number',
  double: 'number',
  bool: 'boolean',
  str: 'string',
  text: 'string',
  list: 'array',
  dict: 'object',
  map: 'object',
};

function checkEnum(value: unknown, path: PlanPath, list: FaultList): void {
  if (!Array.isArray(value) || value.length === 0)
    list.fault(path, `is ${shown(value)}, but must be a list of the values allowed; write at least one`);
}

function checkRequired(value: unknown, schema: Record<string, unknown>, path: PlanPath, list: FaultList): void {
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string')) {
    return list.fault(
      path,
      `is ${shown(value)}, but must be a list of names; write it beside properties, like required: [name]`,
    );
  }
  if (!isObject(schema['properties'])) return;
  const known = Object.keys(schema['properties']);
  value.forEach((name: string, index) => {
    if (known.includes(name)) return;
    const suggestion = nearest(name, known);
    if (schema['additionalProperties'] === false) {
      const remedy = suggestion === undefined ? 'describe it there' : `did you mean "${suggestion}"?`;
      list.fault(
        [...path, index],
        `is ${shown(name)}, which properties does not have and additionalProperties forbids; ${remedy}`,
        suggestion === undefined ? {} : { suggestion },
      );
    } else if (suggestion !== undefined) {
      list.warn([...path, index], `is ${shown(name)}, which properties does not have; did you mean "${suggestion}"?`, {
        suggestion,
      });
    }
  });
}

function checkPattern(value: unknown, path: PlanPath, list: FaultList): void {
  if (typeof value !== 'string')
    return list.fault(path, `is ${shown(value)}, but must be a regular expression; put it in quotes`);
  try {
    new RegExp(value, 'u');
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^Invalid regular expression: \/.*\/u?: /s, '') : '';
    list.fault(path, `is no regular expression: ${reason}; mend it, with backslashes in single quotes`);
  }
}

function checkKeyword(key: string, path: PlanPath, list: FaultList): void {
  const suggestion = nearest(key, KEYWORDS);
  if (suggestion === undefined) return;
  list.fault(path, `is no keyword of JSON Schema; did you mean "${suggestion}"?`, { atKey: true, suggestion });
}

/** References must be found in the schema itself: nothing is fetched. */
function checkReferences(value: unknown, root: Record<string, unknown>, path: PlanPath, list: FaultList): void {
  if (Array.isArray(value))
    return value.forEach((inner, index) => checkReferences(inner, root, [...path, index], list));
  if (!isObject(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'enum' || key === 'const' || key === 'default' || key === 'examples') continue;
    if (key === '$ref' && typeof inner === 'string') checkReference(inner, root, [...path, key], list);
    else checkReferences(inner, root, [...path, key], list);
  }
}

function checkReference(reference: string, root: Record<string, unknown>, path: PlanPath, list: FaultList): void {
  if (!reference.startsWith('#'))
    return list.fault(
      path,
      `is ${shown(reference)}, and nothing is fetched; put the schema under $defs and write "#/$defs/name"`,
    );
  if (reference !== '#' && !reference.startsWith('#/')) return;
  const parts = reference
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const found = parts.reduce<unknown>(
    (at, part) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[part] : undefined),
    root,
  );
  if (found !== undefined) return;
  const defs = isObject(root['$defs']) ? Object.keys(root['$defs']) : [];
  const near = nearest(parts.at(-1) ?? '', defs);
  const suggestion = near === undefined ? undefined : `#/$defs/${near}`;
  list.fault(
    path,
    `is ${shown(reference)}, which the schema does not have; ${suggestion === undefined ? 'put it under $defs' : `did you mean "${suggestion}"?`}`,
    suggestion === undefined ? {} : { suggestion },
  );
}
