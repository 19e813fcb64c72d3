import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { readBatchRows } from '../../src/batch-files/index.js';
import { allRows, inputFiles } from '../support/batch-input.js';
import { cli } from '../support/cli-io.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = await readFile(`${root}docs/coming-from.md`, 'utf8');
const { file } = inputFiles();

/** What stands in code, in blocks and within lines. */
const codeOf = (text: string): string[] =>
  [...text.matchAll(/```\w*\n(.*?)```|`([^`\n]+)`/gs)].map(([, block, code]) => block ?? code ?? '');

/** The `batch` commands of the page, each with the flags that stand beside one of them. */
function commandsOf(text: string): Map<string, Set<string>> {
  const commands = new Map<string, Set<string>>();
  for (const line of codeOf(text).flatMap((code) => code.split('\n'))) {
    const [, name, rest] = /(?:^|[\s|])batch ([a-z]+)(?=\s|$)(.*)/.exec(line) ?? [];
    if (name === undefined) continue;
    const flags = commands.get(name) ?? new Set();
    for (const [flag] of (rest ?? '').matchAll(/--[a-z-]+/g)) flags.add(flag);
    commands.set(name, flags);
  }
  return commands;
}

describe('docs/coming-from.md', () => {
  test('shows lines that are rows', async () => {
    const blocks = [...page.matchAll(/```jsonl\n(.*?)```/gs)].map(([, block = '']) => block);
    expect(blocks.length).toBeGreaterThan(0);
    for (const block of blocks) expect((await allRows(readBatchRows(await file(block)))).length).toBeGreaterThan(0);
  });

  test('names an example that is input', async () => {
    const rows = await allRows(readBatchRows(`${root}examples/openai-requests.jsonl`));
    expect(rows.map(({ id, turns }) => [id, turns.length])).toEqual([
      ['order-42577', 1],
      ['order-41763', 1],
      ['late-orders', 2],
    ]);
  });

  test('names commands and flags that there are', async () => {
    const commands = commandsOf(page);
    expect([...commands.keys()].sort()).toEqual([
      'cancel',
      'list',
      'pause',
      'rerun',
      'results',
      'resume',
      'run',
      'set',
      'show',
      'submit',
      'watch',
    ]);
    for (const [name, flags] of commands) {
      const { code, stdout } = await cli(['batch', name, '--help']);
      expect([name, code]).toEqual([name, 0]);
      for (const flag of flags) expect(stdout).toMatch(new RegExp(`${flag}\\b`));
    }
  });
});
