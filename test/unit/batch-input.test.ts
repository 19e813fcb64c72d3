import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { openBatchInput, readBatchRows, spoolToFile } from '../../src/batch-files/index.js';
import type { BatchInputError } from '../../src/protocol/batch.js';
import { allRows, goodLine, inputFiles, refusal } from '../support/batch-input.js';

const { file, folder } = inputFiles();
const stdinOf = (text: string) => Readable.from([text]);

describe('openBatchInput()', () => {
  test('reads files and standard input in the order they are named, any number of times', async () => {
    const path = await file('id,question\na,Why?\n', 'a.csv');
    const input = await openBatchInput([path, '-'], { stdin: stdinOf(goodLine('b') + goodLine('c')) });
    for (const _time of [1, 2]) expect((await allRows(input.rows)).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    await input.remove();
    await expect(allRows(input.rows)).rejects.toThrow('stdin: does not exist');
  });

  test('tells of columns that are no field of a row, by file', async () => {
    const told: unknown[] = [];
    const onExtraColumns = (...heard: unknown[]) => void told.push(heard);
    const plain = await file('id,question,metadata\na,Why?,{}\n', 'plain.csv');
    const stdin = stdinOf('id, team ,question,,note\nb,north,Why?,,\n');
    const input = await openBatchInput([plain, '-'], { stdin, onExtraColumns });
    const rows = await allRows(input.rows);
    await input.remove();
    expect(told).toEqual([['stdin', ['team', 'note']]]);
    expect(rows.map(({ extra }) => extra)).toEqual([undefined, { team: 'north' }]);
  });

  test('calls standard input by its name where it is bad', async () => {
    const path = await file(goodLine('a'));
    const input = await openBatchInput([path, '-'], { stdin: stdinOf(`\n${goodLine('a')}`) });
    await expect(allRows(input.rows)).rejects.toThrow(`stdin:2: id: repeats the id of ${path}:1; give`);
    await input.remove();
    const empty = await openBatchInput(['-'], { stdin: stdinOf('') });
    await expect(allRows(empty.rows)).rejects.toThrow('stdin: holds no rows; write one row a line');
    await empty.remove();
  });

  test('copies a pipe, which can be read only once', async () => {
    const path = join(folder(), 'pipe');
    execFileSync('mkfifo', [path]);
    const [input] = await Promise.all([
      openBatchInput([path], { stdin: stdinOf('') }),
      writeFile(path, `${goodLine('a')}x\n`),
    ]);
    for (const _time of [1, 2]) await expect(allRows(input.rows)).rejects.toThrow(`${path}:2: is not valid JSON`);
    await input.remove();
  });

  test('takes standard input once only', async () => {
    const opening = openBatchInput(['-', '-'], { stdin: stdinOf(goodLine('a')) });
    await expect(opening).rejects.toMatchObject({
      name: 'BatchInputError',
      problems: [{ file: 'stdin', message: 'is named twice; name - once' }],
    } satisfies Partial<BatchInputError>);
  });

  test('stops waiting for standard input when it is told to', async () => {
    const stop = new AbortController();
    const opening = openBatchInput(['-'], { stdin: new Readable({ read: () => undefined }), signal: stop.signal });
    stop.abort();
    await expect(opening).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('spoolToFile()', () => {
  test('copies a stream to a file until it is removed', async () => {
    const spooled = await spoolToFile(Readable.from([goodLine('a'), goodLine('b')]));
    expect(await allRows(readBatchRows(spooled.path))).toHaveLength(2);
    await spooled.remove();
    expect((await refusal(spooled.path)).problems).toMatchObject([{ message: 'does not exist; check the path' }]);
  });
});
