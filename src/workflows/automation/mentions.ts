import type { Plan } from '../../protocol/plan.js';

/** Keys of a plan whose texts are no expressions and no templates. */
const NAMES: ReadonlySet<string> = new Set([
  'id',
  'kind',
  'goto',
  'title',
  'name',
  'description',
  'conversation',
  'as',
]);

/** `steps` as a whole, as in `$keys(steps)`, or what looks for names by itself. */
const ALL_STEPS = /\bsteps\b(?!\s*\.\s*[A-Za-z_`])|\$\$|\$eval\b|\*\*/;

/**
 * Whether anything in a plan looks at the result of the step of that id. What nobody looks at need not be kept: it would have to be
 * carried through all runs. Where it cannot be told, it is kept.
 */
export function mentionedIn(plan: Plan): (id: string) => boolean {
  const texts = JSON.stringify(plan, (key, value: unknown) =>
    NAMES.has(key) && typeof value === 'string' ? undefined : value,
  );
  if (ALL_STEPS.test(texts)) return () => true;
  const words = new Set(texts.match(/[A-Za-z_][A-Za-z0-9_]*/g));
  return (id) => words.has(id);
}
