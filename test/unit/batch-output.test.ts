import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { BatchOutput, OutputFileError, outputRow } from '../../src/batch-files/index.js';
import type { BatchRow, RowOutcome, RowStatus } from '../../src/protocol/batch.js';

let folder: string;
let out: string;
let errors: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batch-output-'));
  out = join(folder, 'deep', 'out.jsonl');
  errors = join(folder, 'errors.jsonl');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const rows: BatchRow[] = Array.from({ length: 6 }, (_, n) => ({ id: `q${n}`, turns: [`Question ${n}?`] }));

function outcome(index: number, status: RowStatus = 'succeeded'): RowOutcome {
  const row = rows[index]!;
  const exchange = { agentMarkdownResponse: `Answer ${index}`, parameterUpdates: {}, interruptedOutput: false };
  return {
    row,
    result: {
      id: row.id,
      index,
      status,
      exchanges: status === 'succeeded' ? [exchange] : [],
      sessionRid: `ri.session.${index}`,
      tokens: 10,
      attempts: 1,
      startedAt: '2026-01-01T00:00:00.000Z',
      finishedAt: '2026-01-01T00:00:01.000Z',
      ...(status !== 'succeeded' && { error: { errorName: 'ExchangeCancelled', message: 'Cancelled' } }),
    },
  };
}

const linesOf = async (path: string) => (await readFile(path, 'utf8')).split('\n');
const idsOf = async (path: string) =>
  (await linesOf(path)).filter((line) => line !== '').map((line) => (JSON.parse(line) as { id: string }).id);

async function write(outcomes: RowOutcome[], more: { overwrite?: boolean } = {}): Promise<number> {
  const output = await BatchOutput.open({ out, errors, ...more });
  await output.write(outcomes);
  await output.close();
  return output.rowCount;
}

describe('outputRow()', () => {
  test('has the promised keys in their order', () => {
    const { row, result } = outcome(0);
    expect(Object.keys(outputRow({ row: { ...row, metadata: { n: 1 } }, result }))).toEqual(
      'id index status answer exchanges sessionRid tokens attempts startedAt finishedAt metadata'.split(' '),
    );
    expect(outputRow({ row, result })).toMatchObject({
      answer: 'Answer 0',
      exchanges: [{ text: 'Question 0?', agentMarkdownResponse: 'Answer 0' }],
    });
  });

  test('gives a row that did not succeed its error and the fields of its input', () => {
    const { row, result } = outcome(0, 'cancelled');
    const written = outputRow({ row: { ...row, agentRid: 'ri.a', extra: { category: 'x', status: 'mine' } }, result });
    expect(written).toMatchObject({
      status: 'cancelled',
      error: { errorName: 'ExchangeCancelled' },
      question: 'Question 0?',
      agentRid: 'ri.a',
      category: 'x',
    });
    expect(written).not.toHaveProperty('answer');
    expect(written).not.toHaveProperty('turns');
  });
});

describe('BatchOutput', () => {
  test('writes rows that succeeded to one file and the others to another', async () => {
    await write([outcome(0), outcome(1, 'failed'), outcome(2)]);
    expect(await idsOf(out)).toEqual(['q0', 'q2']);
    expect(await idsOf(errors)).toEqual(['q1']);
  });

  test('writes all rows to one file when there is no other', async () => {
    const output = await BatchOutput.open({ out });
    await output.write([outcome(0), outcome(1, 'failed')]);
    await output.close();
    expect(await idsOf(out)).toEqual(['q0', 'q1']);
  });

  test('writes to standard output', async () => {
    let written = '';
    const stdout = new Writable({
      write(chunk: Buffer, _encoding, done) {
        written += chunk.toString();
        done();
      },
    });
    const output = await BatchOutput.open({ out: '-', errors, stdout });
    await output.write([outcome(0), outcome(1, 'failed')]);
    await output.close();
    expect(written).toMatch(/^\{"id":"q0",.*\}\n$/);
    expect(await idsOf(errors)).toEqual(['q1']);
  });

  test('opened again, passes over the rows that are written', async () => {
    await write([outcome(0), outcome(1, 'failed')]);
    const count = await write([outcome(0), outcome(1, 'failed'), outcome(2)]);
    expect(count).toBe(3);
    expect(await idsOf(out)).toEqual(['q0', 'q2']);
    expect(await idsOf(errors)).toEqual(['q1']);
  });

  test('goes on at every point at which a write can be torn', async () => {
    await write([outcome(0), outcome(1)]);
    const whole = await readFile(out);
    const first = whole.indexOf('\n') + 1;
    for (let length = first; length <= whole.length; length += 7) {
      await writeFile(out, whole.subarray(0, length));
      await write([outcome(0), outcome(1), outcome(2)]);
      expect(await idsOf(out)).toEqual(['q0', 'q1', 'q2']);
    }
  });

  test('ends a last row that lacks only its line feed', async () => {
    await write([outcome(0), outcome(1)]);
    await writeFile(out, (await readFile(out, 'utf8')).trimEnd());
    await write([outcome(2)]);
    expect(await idsOf(out)).toEqual(['q0', 'q1', 'q2']);
  });

  test.each([{}, { overwrite: true }])('refuses a folder, and a path through a file: %j', async (more) => {
    const opening = (path: string) => BatchOutput.open({ out: path, ...more });
    await expect(opening(folder)).rejects.toThrow(
      `Cannot write to ${folder}: it is a folder; name a file in it, such as ${join(folder, 'rows.jsonl')}`,
    );
    await expect(BatchOutput.open({ out, errors: folder, ...more })).rejects.toThrow(OutputFileError);
    await writeFile(errors, '');
    for (const path of [join(errors, 'rows.jsonl'), join(errors, 'deep', 'rows.jsonl')])
      await expect(opening(path)).rejects.toThrow(
        `Cannot write to ${path}: a part of its path is a file, and no folder; name another path`,
      );
  });

  test('reads a file longer than its buffer', async () => {
    const long = outcome(0);
    long.result.exchanges[0]!.agentMarkdownResponse = 'ä'.repeat(400_000);
    await write([long, outcome(1)]);
    expect(await write([long, outcome(1), outcome(2)])).toBe(3);
    expect(await idsOf(out)).toEqual(['q0', 'q1', 'q2']);
  });

  test.each([
    ['a file that is no output', 'Dear diary,\nnothing happened\n', /line 1 is no output row/],
    ['an input file', '{"id":"q0","question":"Why?"}\n', /line 1 is no output row/],
    ['a row twice', `${JSON.stringify(outputRow(outcome(0)))}\n`.repeat(2), /row 0 \(id q0\) twice/],
  ])('refuses %s, and leaves it as it is', async (_what, content, text) => {
    await write([]);
    await writeFile(out, content);
    await expect(BatchOutput.open({ out, errors })).rejects.toThrow(text);
    expect(await readFile(out, 'utf8')).toBe(content);
  });

  test('overwrites when told to', async () => {
    await write([outcome(0)]);
    await appendFile(out, 'garbage\n');
    await write([outcome(1)], { overwrite: true });
    expect(await idsOf(out)).toEqual(['q1']);
  });

  test('tells the output of another batch before anything is started', async () => {
    await write([outcome(0), outcome(3, 'failed')]);
    const output = await BatchOutput.open({ out, errors });
    await output.checkBelongsTo(rows);
    await expect(output.checkBelongsTo(rows.slice(0, 3))).rejects.toThrow(/errors\.jsonl: it holds row 3 \(id q3\)/);
    await expect(output.checkBelongsTo(rows.toReversed())).rejects.toThrow(/out\.jsonl: it holds row 0/);
    await output.close();
  });

  test('refuses a row whose place another one has', async () => {
    await write([outcome(0)]);
    const output = await BatchOutput.open({ out, errors });
    const other = outcome(1);
    await expect(output.write([{ ...other, result: { ...other.result, index: 0 } }])).rejects.toThrow(
      /not of this batch/,
    );
    await output.close();
  });
});
