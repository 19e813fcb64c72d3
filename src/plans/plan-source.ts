import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import type { PlanPath } from './plan-path.js';

/** From 1 each. */
export interface Place {
  line: number;
  column: number;
}

/** Values that aliases may stand for in all: what a file grows to is bounded, whatever they nest. */
export const MOST_ALIASES = 1_000;

/** A file of YAML 1.2 (of which JSON is a part), and where in it everything stands. */
export class PlanSource {
  readonly documents: readonly Document.Parsed[];
  readonly #lines = new LineCounter();

  /** @throws RangeError When it is nested too deeply to be read. */
  constructor(readonly text: string) {
    const parsed = parseAllDocuments(text, {
      lineCounter: this.#lines,
      merge: true,
      prettyErrors: false,
      // Told with its path instead (`node-faults.ts`).
      uniqueKeys: false,
      logLevel: 'error',
    });
    this.documents = 'empty' in parsed ? [] : parsed;
  }

  /** The file's value as JSON. @throws ReferenceError When aliases name nothing, or too much. */
  value(): unknown {
    return this.documents[0]?.toJS({ maxAliasCount: MOST_ALIASES });
  }

  placeAt(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** @param line From 1. */
  startOfLine(line: number): number {
    return this.#lines.lineStarts[line - 1] ?? 0;
  }

  /** Whether a tab stands before the first letter of a line. */
  isIndentedByTab(line: number): boolean {
    return /^ *\t/.test(this.text.slice(this.startOfLine(line)).split('\n', 1)[0] ?? '');
  }

  /** Where a value stands; one that is missing, where the object or list stands that lacks it. */
  place(path: PlanPath): Place {
    return this.placeAt(startOf(this.#find(path)?.value) ?? this.#nearest(path));
  }

  /** Where the key of a value stands. */
  placeOfKey(path: PlanPath): Place {
    return this.placeAt(startOf(this.#find(path)?.key) ?? this.#nearest(path));
  }

  /** Where a character of a text stands, as near as its quoting lets it be told. */
  placeIn(path: PlanPath, index: number): Place {
    const node = this.#find(path)?.value;
    if (!isScalar(node) || typeof node.value !== 'string') return this.place(path);
    return this.placeAt(this.#offsetIn(node as Scalar<string>, index));
  }

  /** A scalar as it was written, quotes and all: `1.0`, where its value is 1. */
  written(path: PlanPath): string | undefined {
    const node = this.#find(path)?.value;
    return isScalar(node) && node.range ? this.text.slice(node.range[0], node.range[1]) : undefined;
  }

  #offsetIn(node: Scalar<string>, index: number): number {
    const [start, end] = node.range ?? [0, 0];
    const raw = this.text.slice(start, end);
    const whole = raw.indexOf(node.value);
    if (whole !== -1) return start + whole + index;
    const lineStart = node.value.lastIndexOf('\n', index - 1) + 1;
    const line = node.value.slice(lineStart).split('\n', 1)[0] ?? '';
    const ofLine = line === '' ? -1 : raw.indexOf(line);
    if (ofLine !== -1) return start + ofLine + index - lineStart;
    for (const length of [24, 12, 6]) {
      const ofPiece = raw.indexOf(node.value.slice(index, index + length));
      if (ofPiece !== -1) return start + ofPiece;
    }
    return start;
  }

  #nearest(path: PlanPath): number {
    for (let depth = path.length - 1; depth >= 0; depth--) {
      const found = this.#find(path.slice(0, depth));
      const offset = startOf(found?.value) ?? startOf(found?.key);
      if (offset !== undefined) return offset;
    }
    return 0;
  }

  #find(path: PlanPath): Found | undefined {
    const document = this.documents[0];
    let found: Found | undefined = { value: document?.contents ?? null };
    for (const part of path) {
      found = found === undefined ? undefined : step(found.value, part, document);
    }
    return found;
  }
}

interface Found {
  key?: unknown;
  value: unknown;
}

function step(node: unknown, part: string | number, document: Document | undefined): Found | undefined {
  const target = resolved(node, document);
  if (isSeq(target)) {
    const item = target.items[Number(part)];
    return item === undefined ? undefined : { value: item };
  }
  if (!isMap(target)) return undefined;
  // The last of several with the same key is the one that counts.
  const own = target.items.findLast((pair) => keyText(pair) === String(part));
  if (own !== undefined) return { key: own.key, value: own.value };
  return mergedMaps(target, document)
    .map((map) => step(map, part, document))
    .find((inner) => inner !== undefined);
}

/** What `<<` brings into an object. */
function mergedMaps(map: YAMLMap, document: Document | undefined): unknown[] {
  return map.items
    .filter((pair) => keyText(pair) === '<<')
    .map(({ value }) => resolved(value, document))
    .flatMap((value) => (isSeq(value) ? value.items.map((item) => resolved(item, document)) : [value]));
}

const resolved = (node: unknown, document: Document | undefined): unknown =>
  isAlias(node) && document !== undefined ? node.resolve(document) : node;

/** The key of an entry as JSON has it; absent when it is no scalar. */
export function keyText({ key }: Pair): string | undefined {
  if (!isScalar(key)) return undefined;
  // The parser has a symbol for the key that merges.
  return typeof key.value === 'symbol' ? '<<' : String(key.value);
}

/** The offset at which a node begins. */
export function startOf(node: unknown): number | undefined {
  if (isPair(node)) return startOf(node.key);
  return (node as Node | null | undefined)?.range?.[0];
}
