/**
 * How a template falls into texts and expressions. Knows nothing of JSONata but where its strings, comments and braces end, so
 * that `{{ {"a": {"b": 1}} }}` is one expression. Both the check of plans and the workflow that runs them cut templates by it.
 */
export type TemplatePart =
  | { kind: 'text'; text: string }
  /** `at`: where its first character stands in the template. */
  | { kind: 'expression'; expression: string; at: number };

/** A template that cannot be cut. */
export interface TemplateProblem {
  /** Where the `{{` stands that has no end. */
  unclosedAt: number;
}

/** Cuts a template at its `{{ … }}`. */
export function templateParts(template: string): TemplatePart[] | TemplateProblem {
  const parts: TemplatePart[] = [];
  let from = 0;
  for (;;) {
    const open = template.indexOf('{{', from);
    if (open === -1) break;
    const close = endOfExpression(template, open + 2);
    if (close === undefined) return { unclosedAt: open };
    if (open > from) parts.push({ kind: 'text', text: template.slice(from, open) });
    parts.push({ kind: 'expression', expression: template.slice(open + 2, close), at: open + 2 });
    from = close + 2;
  }
  if (from < template.length) parts.push({ kind: 'text', text: template.slice(from) });
  return parts;
}

/** Whether a template is nothing but one expression, and so has its value instead of a text. */
export function isWholeExpression(template: string): boolean {
  const parts = templateParts(template.trim());
  return Array.isArray(parts) && parts.length === 1 && parts[0]?.kind === 'expression';
}

/** Where the `}}` stands that closes an expression; one inside a string, a comment or braces does not. */
function endOfExpression(template: string, from: number): number | undefined {
  const token = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|\/\*.*?\*\/|[{}]/gs;
  token.lastIndex = from;
  let depth = 0;
  for (let found = token.exec(template); found !== null; found = token.exec(template)) {
    if (found[0] === '{') depth += 1;
    if (found[0] !== '}') continue;
    if (depth === 0) {
      if (template[found.index + 1] === '}') return found.index;
      continue;
    }
    depth -= 1;
  }
  return undefined;
}
