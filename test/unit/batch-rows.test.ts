import { appendFile, readdir, readlink } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { outputRow, readBatchRows } from '../../src/batch-files/index.js';
import type { BatchRow, RowResult } from '../../src/protocol/batch.js';
import { allRows, goodLine, inputFiles, jsonLine } from '../support/batch-input.js';

const { file } = inputFiles();
const read = (path: string | string[]): Promise<BatchRow[]> => allRows(readBatchRows(path));
const idsOf = async (path: string): Promise<string[]> => (await read(path)).map(({ id }) => id);
const rowsOf = async (content: string, name?: string): Promise<BatchRow[]> => read(await file(content, name));

describe('readBatchRows() accepts', () => {
  test('JSONL with a question or turns, and all optional fields', async () => {
    const full = {
      id: 'b',
      turns: ['One?', 'Two?'],
      agentRid: 'ri.a',
      agentVersion: '1.0',
      parameterInputs: { p: { type: 'string', value: 'x' } },
      contextsOverride: [{ type: 'objectContext', objectRids: ['r'], propertyTypeRids: [] }],
      mode: 'blocking',
      deadline: '2026-11-22T18:00:00+01:00',
      metadata: { tag: 1 },
    };
    expect(await rowsOf(jsonLine({ id: 'a', question: 'Why?' }) + jsonLine(full))).toEqual([
      { id: 'a', turns: ['Why?'] },
      full,
    ]);
  });

  test.each([
    '2026-11-22T18:00Z',
    '2026-11-22T18:00:00Z',
    '2026-11-22T18:00:00.123456-05:30',
    '2024-02-29T00:00:00Z',
    // The same file again is the same batch, also when its deadline has passed.
    '1999-12-31T23:59:59Z',
  ])('the deadline %s', async (deadline) => {
    expect(await rowsOf(jsonLine({ id: 'a', question: 'Why?', deadline }))).toEqual([
      { id: 'a', turns: ['Why?'], deadline },
    ]);
  });

  const [a, b] = [goodLine('a'), goodLine('b')];
  test.each([
    ['a byte order mark', `\uFEFF${a}${b}`],
    ['CRLF', (a + b).replaceAll('\n', '\r\n')],
    ['LF and CRLF together', a + b.replace('\n', '\r\n')],
    ['blank lines', `\n${a}  \n\t\r\n\n${b}\n\n`],
    ['blank lines after a byte order mark', `\uFEFF\n${a}${b}`],
    ['a last line without a line feed', (a + b).trimEnd()],
    ['spaces around rows', `  ${a.trimEnd()}  \n\t${b}`],
  ])('%s', async (_what, content) => {
    expect(await idsOf(await file(content))).toEqual(['a', 'b']);
  });

  test.each(['東京-7', 'Ærø/ø 1', '🚢', 'a b', 'o\'clock "x"', '-', '../a', 'x'.repeat(200)])(
    'the id %j, in JSONL and CSV',
    async (id) => {
      expect(await idsOf(await file(goodLine(id)))).toEqual([id]);
      expect(await idsOf(await file(`id,question\n"${id.replaceAll('"', '""')}",Why?\n`, 'ids.csv'))).toEqual([id]);
    },
  );

  test('texts of any kind, as they are', async () => {
    const question = ' “Grüße” 東京 🚢\n\tline two\u2028\uFEFF\u0000 \\ ';
    expect(await rowsOf(jsonLine({ id: 'a', question }))).toEqual([{ id: 'a', turns: [question] }]);
  });

  test('CSV with quotes, line breaks in cells, CRLF, a byte order mark and further columns', async () => {
    const content = '\uFEFFid,question,agentRid,note\r\na,"What, ""now""?\r\nAnd then?",,x\r\n\r\nb,Why?,ri.b,\r\n';
    expect(await rowsOf(content, 'rows.csv')).toEqual([
      { id: 'a', turns: ['What, "now"?\r\nAnd then?'], extra: { note: 'x' } },
      { id: 'b', turns: ['Why?'], agentRid: 'ri.b' },
    ]);
  });

  test('CSV with a mode and a deadline, and JSON in the cells of turns and metadata', async () => {
    const content =
      'id,turns,metadata,mode,deadline\na,"[""One?"",""Two?""]","{""n"":1}",blocking,2026-11-22T18:00:00Z\nb,"[""x""]",,,\n';
    expect(await rowsOf(content, 'json-cells.csv')).toEqual([
      { id: 'a', turns: ['One?', 'Two?'], metadata: { n: 1 }, mode: 'blocking', deadline: '2026-11-22T18:00:00Z' },
      { id: 'b', turns: ['x'] },
    ]);
  });

  test('CSV with the empty columns that a spreadsheet leaves behind, and a space around a name', async () => {
    expect(await rowsOf('id, question ,,\na,Why?,,\n', 'empty-columns.csv')).toEqual([{ id: 'a', turns: ['Why?'] }]);
  });

  test.each([
    ['data', 'id,question\na,Why?\n'],
    ['data', '{"id":"a","question":"Why?"}\n'],
    ['questions.txt', '\uFEFF id,question\na,Why?\n'],
    ['questions.CSV', 'question,id\nWhy?,a\n'],
    ['questions.json', '{"id":"a","question":"Why?"}\n'],
    ['jsonl.csv', '{"id":"a","question":"Why?"}\n'],
  ])('%s with %j, by name and first character', async (name, content) => {
    expect(await rowsOf(content, name)).toEqual([{ id: 'a', turns: ['Why?'] }]);
  });

  test('fields of its own that a file has, and keeps them', async () => {
    const own = { category: 'writing', answer: 42, headline: 'x', model: 'y', body: 'z', custom_id: 1, ids: [1] };
    expect(await rowsOf(jsonLine({ id: 'a', question: 'Why?', ...own }))).toEqual([
      { id: 'a', turns: ['Why?'], extra: own },
    ]);
    expect(await rowsOf(jsonLine({ id: 'a', question: 'Why?', body: { messages: [] } }))).toHaveLength(1);
    expect(await rowsOf(jsonLine({ id: 'a', turns: ['Why?'], questionId: 7 }))).toEqual([
      { id: 'a', turns: ['Why?'], extra: { questionId: 7 } },
    ]);
  });

  test('several files as one input, any number of times', async () => {
    const rows = readBatchRows([await file(goodLine('a')), await file('id,question\nb,Why?\n', 'second.csv')]);
    for (const _time of [1, 2]) expect((await allRows(rows)).map(({ id }) => id)).toEqual(['a', 'b']);
  });

  test.each([
    [
      'JSONL',
      'input.jsonl',
      jsonLine({ id: 'a', category: 'x', turns: ['One?', 'Two?'], agentRid: 'ri.a', metadata: { n: 1 } }),
    ],
    [
      'a mode and a deadline',
      'input.jsonl',
      jsonLine({ id: 'a', question: 'x', mode: 'blocking', deadline: '2020-01-01T00:00Z' }),
    ],
    ['CSV', 'input.csv', 'id,question,mode,deadline,note\na,Why?,streaming,2026-11-22T18:00:00Z,mine\n'],
    [
      "OpenAI's format",
      'openai.jsonl',
      jsonLine({
        custom_id: 'a',
        method: 'POST',
        url: '/v1/chat/completions',
        body: {
          model: 'm',
          temperature: 0,
          messages: [
            { role: 'system', content: 'Be brief.' },
            { role: 'user', content: 'Why?' },
          ],
          metadata: { n: '1' },
        },
        deadline: '2026-11-22T18:00:00Z',
      }),
    ],
  ])('an error row again as its input row: %s', async (_what, name, content) => {
    const [row] = await rowsOf(content, name);
    const result: RowResult = {
      id: 'a',
      index: 7,
      status: 'failed',
      exchanges: [],
      tokens: 3,
      attempts: 2,
      finishedAt: '2026-01-01T00:00:00.000Z',
      error: { errorName: 'AgentIterationsExceededLimit', message: 'no' },
    };
    const errorRow = jsonLine(outputRow({ row: row!, result }));
    expect(await rowsOf(errorRow)).toEqual([row]);
    // And mixed with others.
    expect(await rowsOf(goodLine('b') + errorRow)).toHaveLength(2);
  });
});

describe('readBatchRows() reads lazily:', () => {
  const kinds = [
    ['jsonl', 50_000],
    ['csv', 10_000],
  ] as const;
  const text = 'Where is order 4711? '.repeat(5);
  const lines = {
    jsonl: (n: number) => jsonLine({ id: `q${n}`, question: text }),
    csv: (n: number) => `q${n},${text}\n`,
  };

  test.each(kinds)('the first rows come before the end has been looked at: %s', async (kind, count) => {
    const header = kind === 'csv' ? 'id,question\n' : '';
    const path = await file(header + Array.from({ length: count }, (_, n) => lines[kind](n)).join(''), `many.${kind}`);
    let rows = 0;
    let last = '';
    for await (const { id } of readBatchRows(path)) {
      // What is appended now is read only if the end was not reached before.
      if (rows === 0) await appendFile(path, lines[kind](count));
      rows++;
      last = id;
    }
    expect([rows, last]).toEqual([count + 1, `q${count}`]);
  });

  test.each(kinds)('a bad row near the end is found, and the rows before it came: %s', async (kind, count) => {
    const header = kind === 'csv' ? 'id,question\n' : '';
    const bad = lines[kind](17);
    const content = header + Array.from({ length: count }, (_, n) => lines[kind](n)).join('') + bad;
    const path = await file(content, `bad-end.${kind}`);
    let rows = 0;
    const reading = (async () => {
      for await (const _row of readBatchRows(path)) rows++;
    })();
    const firstLine = kind === 'csv' ? 2 : 1;
    await expect(reading).rejects.toThrow(
      `${path}:${count + firstLine}: id: repeats the id of ${path}:${17 + firstLine}; give every row an id of its own`,
    );
    expect(rows).toBe(count);
  });

  (existsSync('/proc/self/fd') ? test : test.skip).each(kinds)(
    'whoever stops reading leaves no file open: %s',
    async (kind, count) => {
      const header = kind === 'csv' ? 'id,question\n' : '';
      const content = header + Array.from({ length: count }, (_, n) => lines[kind](n)).join('');
      const path = await file(content, `stopped.${kind}`);
      for await (const _row of readBatchRows(path)) break;
      const open = await openFiles();
      expect(open).not.toContain(path);
    },
  );
});

/** Paths that this process has open. */
async function openFiles(): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd');
  return Promise.all(descriptors.map((name) => readlink(join('/proc/self/fd', name)).catch(() => '')));
}
