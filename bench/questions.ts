import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readBatchRows } from '../src/batch-files/index.js';
import type { BatchRow } from '../src/protocol/batch.js';

/** Input that nobody here wrote, when it is there; else the examples that ship with the project. */
export interface RealData {
  name: string;
  path: string;
}

const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const WANTED: readonly RealData[] = [
  { name: 'GSM8K questions', path: file('../shared/data/gsm8k-questions.jsonl') },
  { name: 'MT-Bench conversations', path: file('../shared/data/mt-bench-conversations.jsonl') },
];
const SHIPPED: RealData = { name: 'example questions', path: file('examples/questions.jsonl') };

/** The files of real input; the shipped example file where they are not there. */
export function realData(): RealData[] {
  const there = WANTED.filter(({ path }) => existsSync(path));
  return there.length > 0 ? there : [SHIPPED];
}

/** All rows of a file. */
export async function rowsOf({ path }: RealData): Promise<BatchRow[]> {
  const rows: BatchRow[] = [];
  for await (const row of readBatchRows(path)) rows.push(row);
  return rows;
}

/** As many single questions as wanted, of the length of real ones. */
export function madeQuestions(count: number): BatchRow[] {
  return Array.from({ length: count }, (_, index) => ({ id: `q${index}`, turns: [questionText(index)] }));
}

/** A question of some 200 characters, which is the length of those of GSM8K. */
export function questionText(index: number): string {
  const [boxes, items, price] = [(index % 17) + 2, (index % 23) + 3, (index % 31) + 1];
  return (
    `Order ${index}: a warehouse packs ${boxes} boxes with ${items} items each, and every item is sold for $${price}. ` +
    `A customer returns every third box and gets half of the money back. How much does the warehouse keep in the end?`
  );
}

/** Least and most characters of an answer of `questionsOfMixedLength`. */
const MIXED_LENGTH = { least: 320, most: 16_000 };

/** Questions whose answers are of very different lengths: most are short, some are fifty times as long. */
export function questionsOfMixedLength(count: number): BatchRow[] {
  return madeQuestions(count).map(({ id, turns }, index) => {
    // By the golden ratio neighbours differ much, and any stretch of rows has the same mean.
    const share = (index * 0.618_034) % 1;
    const length = Math.round(MIXED_LENGTH.least * (MIXED_LENGTH.most / MIXED_LENGTH.least) ** share);
    return { id, turns: turns.map((text) => `${text} [long ${length}]`) };
  });
}
