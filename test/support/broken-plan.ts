import { expect, test } from '@jest/globals';
import { PlanError, type PlanFault, readPlan } from '../../src/plans/index.js';

/** The moment at which the plans of tests are read. */
export const NOW = Date.parse('2026-06-01T00:00:00Z');

/** What is wrong with a plan, one by one. */
export interface BrokenPlan {
  name: string;
  yaml: string;
  /** All of its faults: `line:column path`, what was met, what to do. */
  faults: [place: string, met: string, remedy: string, suggestion?: string][];
}

/** A plan of these steps; the first stands in line 3. */
export const steps = (text: string): string => `name: p\nsteps:\n${text}`;

/** The faults that reading a plan throws; none when it is read. */
export function faultsOf(yaml: string): readonly PlanFault[] {
  try {
    readPlan(yaml, { file: 'p.yaml', now: () => NOW });
    return [];
  } catch (error) {
    if (error instanceof PlanError) return error.faults;
    throw error;
  }
}

/** One test a plan: exactly these faults, each with its place, its words before the semicolon and its remedy after it. */
export function testBroken(table: readonly BrokenPlan[]): void {
  test.each(table)('$name', ({ yaml, faults }) => {
    const found = faultsOf(yaml);
    expect(found.map(({ line, column, path }) => `${line}:${column} ${path}`.trim())).toEqual(
      faults.map(([place]) => place),
    );
    faults.forEach(([, met, remedy, suggestion], index) => {
      const [before, ...after] = (found[index]?.message ?? '').split('; ');
      expect(before).toContain(met);
      expect(after.join('; ')).toContain(remedy);
      expect(found[index]?.suggestion).toBe(suggestion);
    });
  });
}
