/** Nested so deep, what may be left out is left out: schemas may refer to themselves. */
const OPTIONAL_DEPTH = 4;
/** Nested so deep, nothing more is made: such a schema has no end. */
const MOST_DEPTH = 12;
/** A list or a text is made no longer, whatever its schema says. */
const MOST_ITEMS = 100;
const MOST_CHARACTERS = 10_000;

type Schema = Readonly<Record<string, unknown>>;

/**
 * The answer to a question that tells a JSON Schema, behind these words in a fence or as its end: a small value that fits it,
 * always the same. Of alternatives it is the first, of a schema with `default` or `examples` those.
 *
 * @returns JSON; absent when the question tells no schema, or one by a `pattern` that no text at hand fits.
 */
export function jsonAnswer(text: string): string | undefined {
  const schema = toldSchema(text);
  if (schema === undefined) return undefined;
  return JSON.stringify(valueOf(schema, schema, 0));
}

/** The last one counts: what was said before may stand in a question as well. */
function toldSchema(text: string): Schema | undefined {
  for (const { index } of [...text.matchAll(/json schema/gi)].reverse()) {
    const rest = text.slice(index);
    const fenced = /```[^\n]*\n([\s\S]*?)\n\s*```/.exec(rest)?.[1] ?? '';
    const schema = parsedObject(fenced) ?? parsedObject(rest.slice(rest.indexOf('{')));
    if (schema !== undefined) return schema;
  }
  return undefined;
}

function parsedObject(text: string): Schema | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // Words, not a schema.
  }
}

/** A value that fits; absent when none is at hand. */
function valueOf(schema: unknown, root: Schema, depth: number): unknown {
  if (depth > MOST_DEPTH) return null;
  const whole = flattened(schema, root, 0);
  if (whole['const'] !== undefined) return whole['const'];
  const given = [...list(whole['enum']), whole['default'], ...list(whole['examples'])];
  const [first] = given.filter((value) => value !== undefined);
  if (first !== undefined) return first;
  switch (typeOf(whole)) {
    case 'object':
      return objectOf(whole, root, depth);
    case 'array':
      return arrayOf(whole, root, depth);
    case 'number':
    case 'integer':
      return numberOf(whole);
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return textOf(whole);
  }
}

/** A schema with all that it refers to, all of `allOf`, and the first of `anyOf` and `oneOf`. */
function flattened(schema: unknown, root: Schema, depth: number): Schema {
  if (!isObject(schema) || depth > MOST_DEPTH) return {};
  const { $ref, allOf, anyOf, oneOf, ...own } = schema;
  const parts = [referred($ref, root), ...list(allOf), list(anyOf)[0], list(oneOf)[0]];
  return parts.map((part) => flattened(part, root, depth + 1)).reduce(merged, own);
}

function merged(own: Schema, other: Schema): Schema {
  const properties = { ...objectAt(other, 'properties'), ...objectAt(own, 'properties') };
  const required = [...list(own['required']), ...list(other['required'])];
  return {
    ...other,
    ...own,
    ...(Object.keys(properties).length > 0 && { properties }),
    ...(required.length > 0 && { required }),
  };
}

/** What stands at `#/$defs/name` and the like. */
function referred(reference: unknown, root: Schema): unknown {
  if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) return undefined;
  return reference
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((at, key) => (Array.isArray(at) || isObject(at) ? (at as Schema)[key] : undefined), root);
}

/** Its type, the first of several, else what its other keywords are for. */
function typeOf(schema: Schema): unknown {
  const [type] = [schema['type']].flat();
  if (type !== undefined) return type;
  const has = (...keys: string[]) => keys.some((key) => schema[key] !== undefined);
  if (has('properties', 'required', 'additionalProperties')) return 'object';
  if (has('items', 'prefixItems', 'minItems')) return 'array';
  return has('minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf') ? 'number' : 'string';
}

function objectOf(schema: Schema, root: Schema, depth: number): unknown {
  const properties = objectAt(schema, 'properties');
  const optional = depth < OPTIONAL_DEPTH ? Object.keys(properties) : [];
  const names = new Set([...optional, ...list(schema['required'])].map(String));
  const allowed = [...names].filter((name) => properties[name] !== false);
  // Those for which no value is at hand are absent from the JSON.
  return Object.fromEntries(
    allowed.map((name) => [name, valueOf(properties[name] ?? schema['additionalProperties'], root, depth + 1)]),
  );
}

function arrayOf(schema: Schema, root: Schema, depth: number): unknown[] {
  const fixed = list(schema['prefixItems']);
  const least = numberAt(schema, 'minItems') ?? 0;
  const wanted = Math.max(least, depth < OPTIONAL_DEPTH && schema['items'] !== false ? 1 : 0, fixed.length);
  const length = Math.min(wanted, numberAt(schema, 'maxItems') ?? MOST_ITEMS, MOST_ITEMS);
  return Array.from({ length }, (_, index) => valueOf(fixed[index] ?? schema['items'], root, depth + 1));
}

function numberOf(schema: Schema): number | undefined {
  const low = numberAt(schema, 'minimum') ?? numberAt(schema, 'exclusiveMinimum') ?? -Infinity;
  const high = numberAt(schema, 'maximum') ?? numberAt(schema, 'exclusiveMaximum') ?? Infinity;
  const isWhole = schema['type'] === 'integer';
  const step = numberAt(schema, 'multipleOf') ?? 1;
  const near = [1, 0, low, low + step, high, high - step, (low + high) / 2];
  const rounded = near.flatMap((value) => [value, Math.ceil(value / step) * step, Math.floor(value / step) * step]);
  return rounded.find(
    (value) =>
      Number.isFinite(value) &&
      (value > low || value === numberAt(schema, 'minimum')) &&
      (value < high || value === numberAt(schema, 'maximum')) &&
      (!isWhole || Number.isInteger(value)) &&
      (schema['multipleOf'] === undefined || Number.isInteger(value / step)),
  );
}

const FORMATS: Readonly<Record<string, string>> = {
  'date-time': '2026-01-31T12:00:00Z',
  date: '2026-01-31',
  time: '12:00:00Z',
  duration: 'P1D',
  email: 'ann@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com',
  uuid: '5f0c1c52-9a41-4d5e-8f5c-2a3b6f1d0001',
};
const TEXT = 'A simulated text.';
/** What a `pattern` is tried with, each repeated as well. */
const PIECES = ['a', 'A', '1'];
const MOST_REPEATED = 12;

function textOf(schema: Schema): string | undefined {
  const known = FORMATS[String(schema['format'])];
  if (known !== undefined) return known;
  const least = Math.min(numberAt(schema, 'minLength') ?? 0, MOST_CHARACTERS);
  const most = numberAt(schema, 'maxLength') ?? Infinity;
  const texts = [TEXT, ...Object.values(FORMATS), ...PIECES.flatMap(repetitions)];
  const isWanted = patternTest(schema['pattern']);
  return texts.map((text) => text.padEnd(least, text).slice(0, most)).find(isWanted);
}

const repetitions = (piece: string) => Array.from({ length: MOST_REPEATED }, (_, index) => piece.repeat(index + 1));

function patternTest(pattern: unknown): (text: string) => boolean {
  if (typeof pattern !== 'string') return () => true;
  try {
    const expression = new RegExp(pattern, 'u');
    return (text) => expression.test(text);
  } catch {
    return () => false; // No pattern: nothing fits it.
  }
}

const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const objectAt = (schema: Schema, key: string): Schema => (isObject(schema[key]) ? schema[key] : {});
const numberAt = (schema: Schema, key: string): number | undefined =>
  typeof schema[key] === 'number' ? schema[key] : undefined;
