import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { outputRow, readBatchRows, spoolToFile } from '../../src/batch-files/index.js';
import { BatchInputError, type BatchRow } from '../../src/protocol/batch.js';
import { LIMITS } from '../../src/protocol/defaults.js';

let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batch-rows-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(content: string | Buffer, extension = 'jsonl'): Promise<string> {
  const path = join(folder, `input-${files++}.${extension}`);
  await writeFile(path, content);
  return path;
}

async function all(rows: AsyncIterable<BatchRow>): Promise<BatchRow[]> {
  const found: BatchRow[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

const nameOf = () => 'in';
const read = (path: string | string[]): Promise<BatchRow[]> => all(readBatchRows(path, { nameOf }));

async function problemsOf(path: string | string[]) {
  const error = await read(path).then(
    () => new Error('The rows were accepted'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BatchInputError)) throw error;
  return error.problems;
}

const line = (fields: object) => `${JSON.stringify(fields)}\n`;
const good = (id: string) => line({ id, question: `What is ${id}?` });

describe('readBatchRows() accepts', () => {
  test('JSONL with a question or turns, and all optional fields', async () => {
    const full = {
      id: 'b',
      turns: ['One?', 'Two?'],
      agentRid: 'ri.a',
      agentVersion: '1.0',
      parameterInputs: { p: { type: 'string', value: 'x' } },
      contextsOverride: [{ type: 'objectContext', objectRids: ['r'], propertyTypeRids: [] }],
      metadata: { tag: 1 },
    };
    expect(await read(await file(line({ id: 'a', question: 'Why?' }) + line(full)))).toEqual([
      { id: 'a', turns: ['Why?'] },
      full,
    ]);
  });

  test.each([
    ['a byte order mark', `\uFEFF${good('a')}${good('b')}`],
    ['CRLF', (good('a') + good('b')).replaceAll('\n', '\r\n')],
    ['blank lines', `\n${good('a')}  \n\r\n${good('b')}\n`],
    ['a last line without a line feed', (good('a') + good('b')).trimEnd()],
  ])('%s', async (_what, content) => {
    expect((await read(await file(content))).map(({ id }) => id)).toEqual(['a', 'b']);
  });

  test('CSV with quotes, line breaks in cells, CRLF, a byte order mark and further columns', async () => {
    const content = '\uFEFFid,question,agentRid,note\r\na,"What, ""now""?\r\nAnd then?",,x\r\n\r\nb,Why?,ri.b,\r\n';
    expect(await read(await file(content, 'csv'))).toEqual([
      { id: 'a', turns: ['What, "now"?\r\nAnd then?'], extra: { note: 'x' } },
      { id: 'b', turns: ['Why?'], agentRid: 'ri.b' },
    ]);
  });

  test('CSV cells with JSON for turns, parameters and metadata', async () => {
    const content = 'id,turns,metadata\na,"[""One?"",""Two?""]","{""n"":1}"\n';
    expect(await read(await file(content, 'csv'))).toEqual([{ id: 'a', turns: ['One?', 'Two?'], metadata: { n: 1 } }]);
  });

  test.each([
    ['id,question\na,Why?\n', 'csv'],
    ['{"id":"a","question":"Why?"}\n', 'jsonl'],
  ])('a file without a telling name, by its first character: %j', async (content) => {
    expect(await read(await file(content, 'data'))).toEqual([{ id: 'a', turns: ['Why?'] }]);
  });

  test('fields of its own that a file has, and keeps them', async () => {
    const rows = await read(await file(line({ id: 'a', category: 'writing', answer: 42, question: 'Why?' })));
    expect(rows).toEqual([{ id: 'a', turns: ['Why?'], extra: { category: 'writing', answer: 42 } }]);
  });

  test('several files as one input, any number of times', async () => {
    const rows = readBatchRows([await file(good('a')), await file('id,question\nb,Why?\n', 'csv')]);
    for (const _time of [1, 2]) expect((await all(rows)).map(({ id }) => id)).toEqual(['a', 'b']);
  });

  test('a stream, by way of a file', async () => {
    const spooled = await spoolToFile(Readable.from([good('a'), good('b')]));
    expect(await read(spooled.path)).toHaveLength(2);
    await spooled.remove();
    expect(await problemsOf(spooled.path)).toEqual([{ file: 'in', message: 'does not exist; check the path' }]);
  });

  test('an error row again as its input row', async () => {
    const input = { id: 'a', category: 'x', turns: ['One?', 'Two?'], agentRid: 'ri.a', metadata: { n: 1 } };
    const [row] = await read(await file(line(input)));
    const result = {
      id: 'a',
      index: 7,
      status: 'failed' as const,
      exchanges: [],
      tokens: 3,
      attempts: 2,
      finishedAt: '2026-01-01T00:00:00.000Z',
      error: { errorName: 'AgentIterationsExceededLimit', message: 'no' },
    };
    expect(await read(await file(line(outputRow({ row: row!, result }))))).toEqual([row]);
  });
});

const bad: [
  what: string,
  content: string | Buffer,
  line: number | undefined,
  field: string | undefined,
  text: RegExp,
][] = [
  ['broken JSON', `${good('a')}{"id": "b", "question": "x",}\n`, 2, undefined, /not valid JSON.*column/],
  ['a torn line', `${good('a')}{"id": "b", "ques`, 2, undefined, /not valid JSON/],
  ['a bare word', 'hello\n', 1, undefined, /not valid JSON/],
  ['a JSON array', '[{"id":"a"\n', 1, undefined, /one JSON object a line/],
  ['an array in a line', '["a"]\n', 1, undefined, /is an array, but each row must be a JSON object/],
  ['null', 'null\n', 1, undefined, /is null/],
  ['a number', '7\n', 1, undefined, /is a number/],
  ['no id', line({ question: 'Why?' }), 1, 'id', /is missing; give every row an id/],
  ['an empty id', line({ id: '', question: 'Why?' }), 1, 'id', /is empty/],
  ['a numeric id', line({ id: 7, question: 'Why?' }), 1, 'id', /is a number, but must be a string; put it in quotes/],
  ['an id of null', line({ id: null, question: 'Why?' }), 1, 'id', /is null, but must be a string$/],
  ['a long id', line({ id: 'x'.repeat(201), question: 'Why?' }), 1, 'id', /longer than 200/],
  ['a repeated id', good('a') + good('b') + good('a'), 3, 'id', /repeats the id of in:1/],
  ['no question', line({ id: 'a' }), 1, undefined, /neither "question" nor "turns"/],
  ['a misspelt question', line({ id: 'a', qeustion: 'Why?' }), 1, 'qeustion', /did you mean "question"/],
  ['a misspelt agent', line({ id: 'a', question: 'Why?', agent_rid: 'x' }), 1, 'agent_rid', /did you mean "agentRid"/],
  ['an empty question', line({ id: 'a', question: '' }), 1, 'question', /is empty/],
  ['a blank question', line({ id: 'a', question: ' \n ' }), 1, 'question', /is empty/],
  ['a numeric question', line({ id: 'a', question: 5 }), 1, 'question', /is a number, but must be a string/],
  ['question and turns', line({ id: 'a', question: 'x', turns: ['y'] }), 1, 'turns', /stands beside "question"/],
  ['turns that are text', line({ id: 'a', turns: 'x' }), 1, 'turns', /is a string, but must be an array/],
  ['no turns', line({ id: 'a', turns: [] }), 1, 'turns', /is empty; give at least one/],
  ['an empty turn', line({ id: 'a', turns: ['x', ''] }), 1, 'turns[1]', /is empty/],
  ['a turn of a wrong type', line({ id: 'a', turns: ['x', {}] }), 1, 'turns[1]', /is an object, but must be a string/],
  ['an agent of a wrong type', line({ id: 'a', question: 'x', agentRid: 1 }), 1, 'agentRid', /must be a string/],
  ['an agent of null', line({ id: 'a', question: 'x', agentRid: null }), 1, 'agentRid', /or leave the field out/],
  [
    'a parameter of an unknown type',
    line({ id: 'a', question: 'x', parameterInputs: { p: { type: 'number', value: 1 } } }),
    1,
    'parameterInputs.p.type',
    /./,
  ],
  [
    'a parameter without a value',
    line({ id: 'a', question: 'x', parameterInputs: { p: { type: 'string' } } }),
    1,
    'parameterInputs.p.value',
    /is missing/,
  ],
  [
    'an object set that is no definition of one',
    line({ id: 'a', question: 'x', parameterInputs: { p: { type: 'objectSet', ontology: 'o', objectSet: 'all' } } }),
    1,
    'parameterInputs.p.objectSet',
    /must be an object/,
  ],
  ['metadata that is text', line({ id: 'a', question: 'x', metadata: 'y' }), 1, 'metadata', /must be an object/],
  [
    'a text over the limit',
    line({ id: 'a', question: 'ä'.repeat(LIMITS.textBytes / 2 + 1) }),
    1,
    'question',
    /takes 262146 bytes, and at most 262144/,
  ],
  [
    'a row over the limit',
    line({ id: 'a', turns: Array(5).fill('x'.repeat(120_000)) }),
    1,
    undefined,
    /a row may take 524288/,
  ],
  ['an endless line', 'x'.repeat(5 * 1024 * 1024), 1, undefined, /longer than/],
  ['Latin-1', Buffer.from('{"id":"a","question":"Grüße?"}', 'latin1'), 1, undefined, /not UTF-8/],
  ['UTF-16', Buffer.from('\uFEFF{"id":"a","question":"Why?"}', 'utf16le'), 1, undefined, /not UTF-8/],
  ['an empty file', '', undefined, undefined, /holds no rows/],
  ['a blank file', '\n \n', undefined, undefined, /holds no rows/],
];

const badCsv: typeof bad = [
  ['no header', 'a,Why?\n', 1, undefined, /must name the columns, and lacks "id" and "question"/],
  ['semicolons', 'id;question\na;Why?\n', 1, undefined, /seem to be separated by ";"/],
  ['a column named twice', 'id,question,id\na,b,c\n', 1, 'id', /names two columns/],
  ['too many cells', 'id,question\na,b\nb,Why, oh?\n', 3, undefined, /has 3 cells, but the first line names 2/],
  ['too few cells', 'id,question\na\n', 2, undefined, /has 1 cells/],
  ['an empty question', 'id,question\na,Why?\nb,\n', 3, 'question', /is empty/],
  ['an empty id', 'id,question\n,Why?\n', 2, 'id', /is empty/],
  [
    'a repeated id after a cell of several lines',
    'id,question\r\na,"x\r\ny"\r\na,z\r\n',
    4,
    'id',
    /repeats the id of in:2/,
  ],
  ['a quote that is not closed', 'id,question\na,Why?\nb,"Why?\nc,x\n', 3, undefined, /double quote is not closed/],
  ['a quote inside a cell', 'id,question\na,"Why" not?\n', 2, undefined, /double quote inside a cell/],
  ['broken JSON in a cell', 'id,question,metadata\na,Why?,{x\n', 2, 'metadata', /must hold JSON/],
  ['an empty file', '', undefined, undefined, /holds no rows/],
  ['Latin-1', Buffer.from('id,question\na,Grüße?\n', 'latin1'), 2, undefined, /not UTF-8/],
];

describe('readBatchRows() refuses, with its place', () => {
  test.each(bad)('%s', async (_what, content, at, field, text) => {
    const [problem, ...others] = await problemsOf(await file(content));
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ file: 'in', message: expect.stringMatching(text) });
    expect([problem?.line, problem?.field]).toEqual([at, field]);
  });

  test.each(badCsv)('CSV: %s', async (_what, content, at, field, text) => {
    const [problem] = await problemsOf(await file(content, 'csv'));
    expect(problem).toMatchObject({ file: 'in', message: expect.stringMatching(text) });
    expect([problem?.line, problem?.field]).toEqual([at, field]);
  });

  test('a CSV file with a header alone', async () => {
    await expect(read(await file('id,question\n', 'csv'))).rejects.toThrow(/holds no rows/);
  });

  test('a missing file and a directory', async () => {
    expect(await problemsOf(join(folder, 'nowhere'))).toMatchObject([{ message: 'does not exist; check the path' }]);
    expect(await problemsOf(`${folder}/.`)).toMatchObject([{ message: 'is a directory; name a file' }]);
  });

  test('an id that two files share', async () => {
    const [first, second] = [await file(good('a')), await file(good('a'))];
    await expect(all(readBatchRows([first, second]))).rejects.toThrow(`repeats the id of ${first}:1`);
  });

  test('at most 20 problems, in order, and without the texts that it met', async () => {
    const lines = Array.from({ length: 50 }, (_, n) => line({ id: `r${n}`, question: n, secret: 'do not tell' }));
    const problems = await problemsOf(await file(lines.join('')));
    expect(problems.map((problem) => problem.line)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    const { message } = new BatchInputError(problems);
    expect(message).toContain('20 problems in its input (there may be more)\n  in:1: question: is a number');
    expect(message).not.toContain('do not tell');
  });
});
