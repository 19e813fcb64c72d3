import { FUNCTIONS } from './expression-functions.js';
import { type NameUse, parseExpression } from './expression-names.js';
import { didYouMean, type FaultList, listOf, nearest } from './fault-list.js';
import { isObject, type PlanPath } from './plan-path.js';
import { ancestorsOf, type StepEntry } from './step-table.js';
import { linearRegex } from '../protocol/linear-regex.js';
import { templateParts } from '../protocol/template-parts.js';
import { RESERVED } from './plan-words.js';
import { type Reader, resultFieldProblem, stepUseProblem } from './step-uses.js';

/** What a plan declares, right or wrong. */
export interface Declared {
  inputs: readonly string[];
  vars: readonly string[];
  steps: readonly StepEntry[];
}

/** What is known of the run, and of the last failure that the plan went on after. */
const OWN_FIELDS: Readonly<Record<'run' | 'error', readonly string[]>> = {
  run: ['id', 'plan', 'startedAt'],
  error: ['errorName', 'message', 'step'],
};

/** Checks the names in expressions and templates against what the plan declares. */
export class NameChecks {
  readonly #hasJumps: boolean;

  constructor(
    private readonly declared: Declared,
    private readonly list: FaultList,
  ) {
    this.#hasJumps = declared.steps.some(({ raw }) => JSON.stringify(raw['onError'] ?? '').includes('"goto"'));
  }

  /** Checks a whole text as an expression. */
  expression(text: unknown, path: PlanPath, reader: Reader): void {
    if (typeof text !== 'string' || text.trim() === '') return;
    if (text.trim().startsWith('{{')) {
      const message = 'is a template, but must be an expression; leave the {{ and }} out';
      return this.list.fault(path, message, { index: text.indexOf('{{') });
    }
    this.#check(text, 0, path, reader);
  }

  /** Checks the templates in a value: those of its texts, however deep. */
  templates(value: unknown, path: PlanPath, reader: Reader): void {
    if (typeof value === 'string') return this.#template(value, path, reader);
    if (Array.isArray(value)) return value.forEach((inner, index) => this.templates(inner, [...path, index], reader));
    if (!isObject(value)) return;
    for (const [key, inner] of Object.entries(value)) this.templates(inner, [...path, key], reader);
  }

  #template(text: string, path: PlanPath, reader: Reader): void {
    const parts = templateParts(text);
    if (!Array.isArray(parts)) {
      const message = 'has a {{ without its }}; close it, or write {{ "{{" }} for the braces themselves';
      return this.list.fault(path, message, { index: parts.unclosedAt });
    }
    let at = 0;
    for (const part of parts) {
      if (part.kind === 'expression') {
        if (part.expression.trim() === '')
          this.list.fault(path, 'has nothing between {{ and }}; write an expression, like inputs.region', {
            index: part.at,
          });
        else this.#check(part.expression, part.at, path, reader);
        at = part.at + part.expression.length + 2;
        continue;
      }
      const stray = /\}\}|\$\{(?=\s*(?:inputs|steps|vars)\b)/.exec(part.text);
      if (stray !== null) {
        const message = `has ${stray[0]}, which is sent as it stands; a template is written {{ inputs.region }}`;
        this.list.warn(path, message, { index: at + stray.index });
      }
      at += part.text.length;
    }
  }

  #check(text: string, shift: number, path: PlanPath, reader: Reader): void {
    const parsed = parseExpression(text);
    if ('reason' in parsed) {
      const message = `is no JSONata expression: ${parsed.reason}, at character ${parsed.at + 1} of "${excerpt(text)}"; ${operatorRemedy(text) ?? 'mend it there'}`;
      return this.list.fault(path, message, { index: shift + parsed.at });
    }
    for (const { name, at, isCalled } of parsed.variables) {
      if (FUNCTIONS.includes(name)) continue;
      const { text: remedy, suggestion } = didYouMean(
        name,
        FUNCTIONS,
        isCalled ? 'see the functions of JSONata' : `what a plan knows is written without $, like inputs.${name}`,
      );
      const what = isCalled ? 'is no function of JSONata' : 'has no value here';
      this.#fault(path, shift + at, `uses $${name}, which ${what}; ${remedy}`, suggestion);
    }
    for (const { regex, at } of parsed.regexes) {
      const problem = regexProblem(regex);
      if (problem !== undefined) this.#fault(path, shift + at, problem);
    }
    for (const use of parsed.names) this.#checkName(use, shift + use.at, path, reader);
  }

  #checkName(use: NameUse, index: number, path: PlanPath, reader: Reader): void {
    const { root, members, lookedUpIn } = use;
    if (lookedUpIn === 'value') return this.#checkInner(use, index, path);
    const [member, field] = members;
    if (root === 'inputs') this.#checkMember('inputs', member, this.declared.inputs, index, path);
    else if (root === 'vars') this.#checkMember('vars', member, this.declared.vars, index, path);
    else if (root === 'steps') this.#checkStep(member, field, index, path, reader);
    else if (root === 'run' || root === 'error') this.#checkOwn(root, member, index, path);
    else if (!this.#itemNames(reader).includes(root)) this.#unknownRoot(root, index, path, reader);
  }

  #checkOwn(root: 'run' | 'error', member: string | undefined, index: number, path: PlanPath): void {
    if (member === undefined || OWN_FIELDS[root].includes(member)) return;
    const { text, suggestion } = didYouMean(member, OWN_FIELDS[root], `${root} has ${listOf(OWN_FIELDS[root])}`);
    this.#fault(path, index, `reads ${root}.${member}, which there is not; ${text}`, suggestion);
  }

  /** Inside `[…]` and behind a `.` a name of the plan means nothing, and silently so. */
  #checkInner({ root, members }: NameUse, index: number, path: PlanPath): void {
    const [member = ''] = members;
    const isOurs =
      (root === 'inputs' && this.declared.inputs.includes(member)) ||
      (root === 'vars' && this.declared.vars.includes(member)) ||
      (root === 'steps' && this.declared.steps.some(({ id }) => id === member));
    if (!isOurs) return;
    const name = `${root}.${member}`;
    const message = `looks ${name} up in the value before it, not in the plan; write $$.${name}`;
    this.list.warn(path, message, { index, suggestion: `$$.${name}` });
  }

  #checkMember(
    root: 'inputs' | 'vars',
    member: string | undefined,
    known: readonly string[],
    index: number,
    path: PlanPath,
  ): void {
    if (member === undefined || known.includes(member)) return;
    const has = known.length === 0 ? 'none' : listOf(known);
    const otherwise =
      root === 'inputs' ? `declare it under inputs:, which has ${has}` : `give it a value by set:, which has ${has}`;
    const { text, suggestion } = didYouMean(member, known, otherwise);
    const met = root === 'inputs' ? 'no input of the plan' : 'no variable that a step sets';
    this.#fault(path, index, `reads ${root}.${member}, ${met}; ${text}`, suggestion);
  }

  #checkStep(id: string | undefined, field: string | undefined, index: number, path: PlanPath, reader: Reader): void {
    if (id === undefined) return;
    const target = this.declared.steps.find((step) => step.id === id);
    if (target === undefined) {
      const ids = this.declared.steps.flatMap((step) => (step.id === undefined ? [] : [step.id]));
      const otherwise = `give a step this id, or read one of ${ids.length === 0 ? 'those that have one' : listOf(ids)}`;
      const { text, suggestion } = didYouMean(id, ids, otherwise);
      return this.#fault(path, index, `reads steps.${id}, the id of no step; ${text}`, suggestion);
    }
    const use = stepUseProblem(target, reader, this.#hasJumps);
    if (use?.isCertain === true) return this.list.fault(path, use.message, { index });
    if (use !== undefined) this.list.warn(path, use.message, { index });
    const { message, ...place } = resultFieldProblem(target, field) ?? {};
    if (message !== undefined) this.list.warn(path, message, { index, ...place });
  }

  /** What the items around are called, and `index`. */
  #itemNames({ entry, within }: Reader): string[] {
    if (entry === undefined) return [];
    const around = ancestorsOf(entry).concat(within === true ? [entry] : []);
    const loops = around.filter(({ kind }) => kind === 'forEach');
    return loops.length === 0 ? [] : [...loops.map(({ raw }) => itemName(raw)), 'index'];
  }

  #unknownRoot(root: string, index: number, path: PlanPath, reader: Reader): void {
    const items = this.#itemNames(reader);
    const roots = [...RESERVED.filter((name) => name !== 'index'), ...items];
    const suggestion = this.#qualified(root) ?? nearest(root, roots);
    if (suggestion !== undefined) {
      return this.#fault(
        path,
        index,
        `reads ${root}, which is nothing here; did you mean "${suggestion}"?`,
        suggestion,
      );
    }
    const loop = this.declared.steps.find(({ kind, raw }) => kind === 'forEach' && itemName(raw) === root);
    const remedy =
      loop !== undefined || root === 'index'
        ? 'it is known in the do: of its forEach only'
        : `an expression begins with one of ${listOf(roots)}, and a text stands in quotes: '${root}'`;
    this.#fault(path, index, `reads ${root}, which is nothing here; ${remedy}`);
  }

  /** A name that lacks what stands before it: `inputs.`, `steps.`, `vars.`. */
  #qualified(name: string): string | undefined {
    if (this.declared.inputs.includes(name)) return `inputs.${name}`;
    if (this.declared.vars.includes(name)) return `vars.${name}`;
    return this.declared.steps.some(({ id }) => id === name) ? `steps.${name}` : undefined;
  }

  #fault(path: PlanPath, index: number, message: string, suggestion?: string): void {
    this.list.fault(path, message, { index, isOneFault: true, ...(suggestion !== undefined && { suggestion }) });
  }
}

/** By what name the item of a `forEach` is known. */
export const itemName = (raw: Record<string, unknown>): string => (typeof raw['as'] === 'string' ? raw['as'] : 'item');

/** Operators of other languages, and what JSONata has for them. */
const FOREIGN_OPERATORS: readonly (readonly [RegExp, string])[] = [
  [/!==/, 'write != instead of !=='],
  [/==/, 'write = instead of =='],
  [/&&/, 'write and instead of &&'],
  [/\|\|/, 'write or instead of ||'],
  [/!(?!=)/, 'write $not(…) instead of !'],
];

function operatorRemedy(expression: string): string | undefined {
  const withoutTexts = expression.replace(/'[^']*'|"[^"]*"/g, '');
  return FOREIGN_OPERATORS.find(([operator]) => operator.test(withoutTexts))?.[1];
}

function regexProblem(regex: RegExp): string | undefined {
  try {
    linearRegex(regex);
    return undefined;
  } catch (error) {
    return `cannot match: ${error instanceof Error ? error.message : String(error)}`;
  }
}

const excerpt = (text: string): string => {
  const line = text.trim().replaceAll(/\s+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 60)}…` : line;
};
