/** Where something stands in a plan as it was written: keys and positions, from the root. */
export type PlanPath = readonly (string | number)[];

/**
 * `steps[2].do[0].ask`. A branch of `parallel` that was written without a name has its number, from 1, as everywhere else:
 * `steps[4].parallel.1[0]`.
 */
export function pathText(path: PlanPath): string {
  return path
    .map((part, depth) => {
      const isBranch = path[depth - 1] === 'parallel' && path[depth - 3] !== undefined;
      if (typeof part === 'number') return isBranch ? `.${part + 1}` : `[${part}]`;
      return depth > 0 ? `.${part}` : part;
    })
    .join('');
}

/** Whether a value is a JSON object. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The same without the keys whose value is undefined. */
export function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as Defined<T>;
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};
