import { type Alias, isAlias, isMap, isScalar, isSeq, type Pair, type YAMLError } from 'yaml';
import type { FaultList } from './fault-list.js';
import type { PlanPath } from './plan-path.js';
import { keyText, MOST_ALIASES, type PlanSource, startOf } from './plan-source.js';

const QUOTE = 'put the whole text in double quotes';

const TAB = 'is indented by a tab, which YAML does not allow; indent by spaces';

/** What was met, and what to do, by the code of the YAML parser's error. */
const SYNTAX: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: TAB,
  BLOCK_AS_IMPLICIT_KEY: `has a second ": " in one line, which YAML takes for an object in an object; ${QUOTE}`,
  BAD_SCALAR_START: `begins with a character that YAML keeps for itself; ${QUOTE}`,
  TAG_RESOLVE_FAILED: 'has a tag (!…), and plans have none; take it out',
  BAD_ALIAS: 'is an alias (*…) of nothing; write its anchor (&…) before it, or put the text in double quotes',
  MULTILINE_IMPLICIT_KEY: 'is a key over several lines; write it on one, and look for a quote that is missing above',
  BAD_DQ_ESCAPE:
    'has a backslash in double quotes that means nothing; write \\\\ for a backslash, or use single quotes',
};

/** Told also when they stand for too much together. */
export const ALIAS_BOUND = `brings the file to more than ${MOST_ALIASES} values by aliases; write fewer, or smaller ones`;

/** Told also when it is the checks that cannot follow it. */
export const TOO_DEEP = 'is nested too deeply to be read; move the inner parts out';

/** What keeps a file from being read at all. @returns Whether its values can be looked at. */
export function yamlFaults(source: PlanSource, list: FaultList): boolean {
  const [first, second] = source.documents;
  if (first?.contents == null && (first?.errors.length ?? 0) === 0) {
    const message = 'holds no plan; write name: and steps:, as docs/plans.md shows';
    list.fault([], message, { offset: 0 });
    return false;
  }
  const errors = [...(first?.errors ?? []), ...(first?.warnings ?? [])];
  if (errors.some(({ code }) => code === 'RESOURCE_EXHAUSTION')) {
    // Where it gave up hangs on the stack that was left.
    list.fault([], TOO_DEEP, { offset: 0 });
    return false;
  }
  syntaxFaults(errors, list);
  if (second !== undefined) {
    const message = `begins a second document (---), and a file is one plan; put it into a file of its own`;
    list.fault([], message, { offset: second.range[0] });
  }
  if (list.faults.length > 0) return false;
  const nodes = new NodeFaults(source, list);
  nodes.check(first?.contents, []);
  return nodes.canBeRead;
}

/** A tab is one fault, with all of its lines: what the parser makes of the lines from the one above it on is no news. */
function syntaxFaults(errors: readonly YAMLError[], list: FaultList): void {
  const { source } = list;
  const lineOf = ({ pos }: YAMLError) => source.placeAt(pos[0]).line;
  const isTab = (error: YAMLError) => error.code === 'TAB_AS_INDENT' || source.isIndentedByTab(lineOf(error));
  const tabLines = new Set(errors.filter(isTab).map(lineOf));
  const firstTab = Math.min(...tabLines);
  for (const error of errors) {
    if (lineOf(error) < firstTab - 1) list.fault([], syntaxMessage(error), { offset: error.pos[0] });
  }
  for (const line of tabLines) list.fault([], TAB, { offset: source.startOfLine(line), isOneFault: true });
}

function syntaxMessage({ code, message }: YAMLError): string {
  const known = SYNTAX[code];
  if (known !== undefined) return known;
  const met = `is no YAML: ${message.replace(/\.$/, '')}`;
  if (code === 'MISSING_CHAR') return `${met}; close the quote or bracket that was opened, or quote the text`;
  return `${met}; see to the indentation and the quotes here and in the line above`;
}

/** Finds what YAML allows and JSON does not. */
class NodeFaults {
  /** False when an alias cannot be followed. */
  canBeRead = true;
  readonly #anchors = new Set<string>();
  #aliases = 0;

  constructor(
    private readonly source: PlanSource,
    private readonly list: FaultList,
  ) {}

  check(node: unknown, path: PlanPath): void {
    if (isAlias(node)) return this.#checkAlias(node, path);
    if (isMap(node)) {
      const seen = new Set<string>();
      for (const pair of node.items) this.#checkEntry(pair, path, seen);
    } else if (isSeq(node)) {
      node.items.forEach((item, index) => this.check(item, [...path, index]));
    } else if (isScalar(node) && typeof node.value === 'number' && !Number.isFinite(node.value)) {
      const message = 'is no number that JSON has; write a finite one, or put it in quotes';
      this.list.fault(path, message, placed(node));
    }
    // An anchor counts from its end on: inside itself it would never end.
    if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined) this.#anchors.add(node.anchor);
  }

  #checkAlias(node: Alias, path: PlanPath): void {
    this.#aliases += 1;
    if (!this.#anchors.has(node.source)) {
      this.canBeRead = false;
      this.list.fault(path, SYNTAX['BAD_ALIAS'] ?? '', placed(node));
    } else if (this.#aliases === MOST_ALIASES + 1) {
      this.canBeRead = false;
      this.list.fault(path, ALIAS_BOUND, placed(node));
    }
  }

  #checkEntry(pair: Pair, path: PlanPath, seen: Set<string>): void {
    const key = keyText(pair);
    if (key === undefined) {
      const isTemplate = isMap(pair.key) && this.source.text[(startOf(pair.key) ?? 0) - 1] === '{';
      const message = isTemplate
        ? 'begins with {{ outside of quotes, which YAML takes for an object; put the whole value in double quotes'
        : 'has a key that is no text; write the key as a word';
      return this.list.fault(path, message, placed(pair.key, isTemplate ? -1 : 0));
    }
    const inner = [...path, key];
    if (key === '__proto__') this.list.fault(inner, 'is no name that anything may have; rename it', placed(pair.key));
    if (seen.has(key) && key !== '<<') {
      this.list.fault(inner, 'is written twice in the same object; keep one of them', placed(pair.key));
    }
    seen.add(key);
    if (key === '<<' && !isMergeSource(pair.value)) {
      this.canBeRead = false;
      this.list.fault(inner, 'merges what is no object; write an alias of one, like <<: *name', placed(pair.key));
      return;
    }
    this.check(pair.value, inner);
  }
}

const isMergeSource = (node: unknown): boolean =>
  isAlias(node) || isMap(node) || (isSeq(node) && node.items.every((item) => isAlias(item) || isMap(item)));

const placed = (node: unknown, shift = 0): { offset: number } => ({
  offset: Math.max(0, (startOf(node) ?? 0) + shift),
});
