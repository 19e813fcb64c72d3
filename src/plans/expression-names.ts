import jsonata from 'jsonata';

/** A name that an expression begins with: `steps.summary.answer` is root `steps`, members `summary` and `answer`. */
export interface NameUse {
  root: string;
  members: string[];
  /** Where the root stands in the expression. */
  at: number;
  /**
   * `plan`: it is looked up in what the plan knows. `value`: in a value that the expression has come to, as inside
   * `inputs.items[…]`: there a plan's names need a `$$.` before them.
   */
  lookedUpIn: 'plan' | 'value';
}

/** An expression, taken apart. */
export interface ParsedExpression {
  names: NameUse[];
  /** Functions and variables (`$…`) that it uses and gives no value itself. */
  variables: { name: string; at: number; isCalled: boolean }[];
  regexes: { regex: RegExp; at: number }[];
}

/** Why a text is no expression, and where in it. */
export interface ExpressionProblem {
  reason: string;
  at: number;
}

interface AstNode {
  type?: string;
  value?: unknown;
  position?: number;
  [part: string]: unknown;
}

/** Takes a JSONata expression apart. */
export function parseExpression(text: string): ParsedExpression | ExpressionProblem {
  try {
    const ast = jsonata(text).ast() as AstNode;
    const found: ParsedExpression = { names: [], variables: [], regexes: [] };
    visitNames(ast, true, text, found.names);
    visitVariables(ast, text, boundIn(ast), found.variables);
    walk(ast, ({ value, position }) => {
      if (!(value instanceof RegExp)) return;
      found.regexes.push({ regex: value, at: Math.max(0, text.lastIndexOf(`/${value.source}/`, position)) });
    });
    return found;
  } catch (error) {
    return problemOf(error, text);
  }
}

function problemOf(error: unknown, text: string): ExpressionProblem {
  if (!isJsonataError(error)) return { reason: 'it is nested too deeply', at: 0 };
  const { message, position, token } = error;
  const end = Math.min(position ?? 0, text.length);
  const isAtToken = typeof token === 'string' && text.slice(end - token.length, end) === token;
  return { reason: message, at: isAtToken ? end - token.length : end };
}

const isJsonataError = (error: unknown): error is { message: string; position?: number; token?: unknown } =>
  typeof error === 'object' && error !== null && 'code' in error && 'message' in error;

/** @param isRoot Whether names are looked up in what the plan knows. */
function visitNames(node: unknown, isRoot: boolean, text: string, found: NameUse[]): void {
  if (!isNode(node)) return;
  if (node.type === 'path') return visitPath(node, isRoot, text, found);
  const visit = (inner: unknown, root = isRoot): void => visitNames(inner, root, text, found);
  each(node['stages'], (stage) => visit((stage as AstNode)['expr'], false));
  each(node['predicate'], (stage) => visit((stage as AstNode)['expr'], false));
  visitPairs((node['group'] as AstNode | undefined)?.['lhs'], (inner) => visit(inner, false));
  switch (node.type) {
    case 'transform':
      return ['pattern', 'update', 'delete'].forEach((part) => visit(node[part], part === 'pattern' && isRoot));
    case 'sort':
      return each(node['terms'], (term) => visit((term as AstNode)['expression'], false));
    case 'lambda':
      // A body sees what stands around its definition.
      return visit(node['body']);
    default:
      visitPairs(node['lhs'], visit);
      for (const part of ['lhs', 'rhs', 'expression', 'condition', 'then', 'else', 'procedure']) visit(node[part]);
      each(node['arguments'], (argument) => visit(argument));
      each(node['expressions'], (expression) => visit(expression));
  }
}

function visitPath(path: AstNode, isRoot: boolean, text: string, found: NameUse[]): void {
  const steps = (path['steps'] ?? []) as AstNode[];
  // `$$` is what the plan knows, wherever it stands.
  const isFromTop = steps[0]?.type === 'variable' && steps[0].value === '$';
  const begin = isFromTop ? 1 : 0;
  const first = steps[begin];
  if (first?.type === 'name') {
    const names = steps.slice(begin).findIndex((step) => step.type !== 'name');
    const members = steps.slice(begin + 1, names === -1 ? undefined : begin + names).map(({ value }) => String(value));
    const lookedUpIn = isRoot || isFromTop ? 'plan' : 'value';
    found.push({ root: String(first.value), members, at: startOfToken(first, text), lookedUpIn });
  }
  steps.forEach((step, index) => visitNames(step, isRoot && index === 0, text, found));
  visitPairs((path['group'] as AstNode | undefined)?.['lhs'], (inner) => visitNames(inner, false, text, found));
}

/** The pairs of an object that is built: `{ key: value }`. */
function visitPairs(pairs: unknown, visit: (node: unknown) => void): void {
  each(pairs, (pair) => each(pair, (inner) => visit(inner)));
}

/** Variables that the expression itself gives a value, anywhere in it. */
function boundIn(ast: AstNode): Set<string> {
  const bound = new Set<string>();
  walk(ast, (node) => {
    if (node.type === 'bind') bound.add(String((node['lhs'] as AstNode).value));
    if (node.type === 'lambda') each(node['arguments'], (argument) => bound.add(String((argument as AstNode).value)));
    if (typeof node['focus'] === 'string') bound.add(node['focus']);
    if (typeof node['index'] === 'string') bound.add(node['index']);
    each(node['stages'], (stage) => {
      if ((stage as AstNode).type === 'index') bound.add(String((stage as AstNode).value));
    });
  });
  return bound;
}

function visitVariables(
  ast: AstNode,
  text: string,
  bound: ReadonlySet<string>,
  found: ParsedExpression['variables'],
): void {
  const called = new Set<unknown>();
  walk(ast, (node) => {
    if (node.type === 'function' || node.type === 'partial') called.add(node['procedure']);
    if (node.type !== 'variable' || typeof node.value !== 'string') return;
    const name = node.value;
    if (name === '' || name === '$' || bound.has(name)) return;
    found.push({ name, at: Math.max(0, startOfToken(node, text) - 1), isCalled: called.has(node) });
  });
}

/** Visits every node, those before what they hold. */
function walk(value: unknown, visit: (node: AstNode) => void): void {
  if (Array.isArray(value)) return value.forEach((inner) => walk(inner, visit));
  if (typeof value !== 'object' || value === null) return;
  visit(value as AstNode);
  for (const inner of Object.values(value)) walk(inner, visit);
}

/** JSONata tells where a token ends. */
function startOfToken(node: AstNode, text: string): number {
  const end = node.position ?? 0;
  const name = String(node.value);
  if (text.slice(end - name.length, end) === name) return end - name.length;
  return Math.max(0, end - name.length - 2);
}

const isNode = (value: unknown): value is AstNode =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && 'type' in value;

function each(value: unknown, visit: (inner: unknown) => void): void {
  if (Array.isArray(value)) value.forEach((inner) => visit(inner));
}
