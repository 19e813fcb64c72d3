import { execFileSync } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { BatchInputError, describeProblem } from '../../src/protocol/batch.js';
import { LIMITS } from '../../src/protocol/defaults.js';
import { goodLine, inputFiles, jsonLine, refusal } from '../support/batch-input.js';

const { folder, file } = inputFiles();

/** One bad file: its content, the place of its only problem, what is said to be met there, and what is said to be done. */
type BadInput = [
  what: string,
  content: string | Buffer,
  line: number | undefined,
  field: string | undefined,
  met: RegExp,
  remedy: RegExp,
];

const a = goodLine('a');
const b = goodLine('b');
/** A row that is good but for these fields. */
const row = (fields: object): string => jsonLine({ id: 'a', question: 'Why?', ...fields });
const parameter = (value: unknown): string => row({ parameterInputs: { p: value } });
const context = (value: unknown): string => row({ contextsOverride: [value] });
/** A line of OpenAI's Batch API with these fields in its body. */
const chat = (body: object, beside: object = {}): string =>
  jsonLine({ custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body, ...beside });
const message = (fields: object): string => chat({ messages: [{ role: 'user', content: 'Why?' }, fields] });
const item = (fields: object): string =>
  jsonLine({ custom_id: 'a', method: 'POST', url: '/v1/responses', body: { input: [fields] } });
const tuned = (fields: object): string => chat({ messages: [{ role: 'user', content: 'Why?' }], ...fields });

const brokenJson: BadInput[] = [
  ['a last comma', `${a}{"id": "b", "question": "x",}\n`, 2, undefined, /not valid JSON.* column 29/, /last comma out/],
  ['no comma', '{"id": "a" "question": "x"}\n', 1, undefined, /Expected ','.* column 12/, /mend it/],
  ['no colon', '{"id" "a", "question": "x"}\n', 1, undefined, /Expected ':'.* column 7/, /mend it/],
  ['a closing brace too many', '{"id": "a", "question": "x"}}\n', 1, undefined, /after JSON at column 29/, /mend it/],
  ['single quotes', "{'id': 'a', 'question': 'x'}\n", 1, undefined, /column 2/, /straight double quotes/],
  ['typographic quotes', '{“id”: “a”, “question”: “x”}\n', 1, undefined, /column 2/, /straight double quotes/],
  ['names without quotes', '{id: "a", question: "x"}\n', 1, undefined, /column 2/, /name in double quotes/],
  ['NaN', '{"id": "a", "question": "x", "score": NaN}\n', 1, undefined, /column 39/, /write null/],
  ['None', '{"id": "a", "question": "x", "score": None}\n', 1, undefined, /column 39/, /write null/],
  ['True', '{"id": "a", "question": "x", "done": True}\n', 1, undefined, /column 38/, /small letters/],
  ['a number with a leading zero', '{"id": "a", "question": "x", "n": 01}\n', 1, undefined, /column/, /mend it/],
  ['a comment', `// questions\n${a}`, 1, undefined, /column 1/, /JSON has none/],
  ['a comment as in a shell', `# questions\n${a}`, 1, undefined, /column 1/, /JSON has none/],
  ['a bare word', 'hello\n', 1, undefined, /not valid JSON.*column 1/, /mend it/],
  ['undefined', 'undefined\n', 1, undefined, /not valid JSON: Unexpected word/, /write null/],
  ['a tab in a text', '{"id": "a", "question": "x\ty"}\n', 1, undefined, /control character/, /\\n and \\t/],
  ['a backslash in a text', '{"id": "a", "question": "C:\\dir"}\n', 1, undefined, /escaped/, /backslash as \\\\/],
  ['half a Unicode escape', '{"id": "a", "question": "\\u12"}\n', 1, undefined, /Unicode escape/, /mend it/],
  ['two rows on a line', a.trimEnd() + b, 1, undefined, /after JSON/, /line of its own/],
  ['lines that end in CR alone', (a + b).replaceAll('\n', '\r'), 1, undefined, /after JSON/, /line of its own/],
  ['a torn line', `${a}{"id": "b", "ques`, 2, undefined, /not valid JSON: Unterminated/, /whole on one line/],
  ['a line torn between values', `{"id": "a",\n${b}`, 1, undefined, /not valid JSON/, /whole on one line/],
  ['a line torn after a colon', `{"id":\n${b}`, 1, undefined, /Unexpected end/, /whole on one line/],
  ['a NUL byte', `${a}{"id": "b", "question": "x\0"}\n`, 2, undefined, /NUL character/, /save the file/],
  ['a byte order mark in the middle', `${a}\uFEFF${b}`, 2, undefined, /column 1/, /remove the byte order mark/],
  ['a line of a byte order mark', `${a}\uFEFF\n${b}`, 2, undefined, /column 1/, /remove the byte order mark/],
  ['two byte order marks', `\uFEFF\uFEFF${a}`, 1, undefined, /column 1/, /remove the byte order mark/],
  ['an endless line', 'x'.repeat(5 * 1024 * 1024), 1, undefined, /longer than 4194304 bytes/, /one row a line/],
];

const notJsonl: BadInput[] = [
  ['a JSON array, written out', JSON.stringify([{ id: 'a' }, { id: 'b' }], null, 2), 1, undefined, /array/, /jq -c/],
  ['a JSON array with a row a line', `[\n${a.trimEnd()},\n${b}]\n`, 1, undefined, /begins an array/, /jq -c '\.\[\]'/],
  ['a JSON array on one line', `[${a.trimEnd()},${b.trimEnd()}]\n`, 1, undefined, /is an array/, /jq -c '\.\[\]'/],
  ['a torn JSON array', '[{"id":"a"\n', 1, undefined, /begins an array/, /one JSON object a line/],
  ['an array in a line', '["a"]\n', 1, undefined, /is an array/, /one object a line/],
  ['an array as the second line', `${a}["b", "Why?"]\n`, 2, undefined, /is an array/, /one object a line/],
  ['a JSON object, written out', JSON.stringify({ id: 'a', question: 'x' }, null, 2), 1, undefined, /JSON/, /jq -c/],
  [
    'rows written out, one after the other',
    ['a', 'b'].map((id) => JSON.stringify({ id, turns: ['x', 'y'], metadata: { n: 1 } }, null, 2)).join('\n'),
    1,
    undefined,
    /not valid JSON/,
    /whole on one line/,
  ],
  ['CSV', 'id,question\na,Why?\n', 1, undefined, /header of a CSV file/, /name the file \.csv/],
  ['null', 'null\n', 1, undefined, /is null, but each row must be a JSON object/, /write it like \{"id"/],
  ['a number', '7\n', 1, undefined, /is a number/, /write it like/],
  ['a text', '"Why?"\n', 1, undefined, /is a string/, /write it like/],
  ['true', 'true\n', 1, undefined, /is a boolean/, /write it like/],
  ['an empty file', '', undefined, undefined, /holds no rows/, /write one row a line, like/],
  ['blank lines alone', '\n \r\n\t\n', undefined, undefined, /holds no rows/, /write one row a line, like/],
  ['a byte order mark alone', '\uFEFF', undefined, undefined, /holds no rows/, /write one row a line, like/],
  ['Latin-1', Buffer.from(`${a}{"id":"ä"}\n`, 'latin1'), 2, undefined, /not UTF-8/, /save the file as UTF-8/],
  ['UTF-16', Buffer.from(`\uFEFF${a}${b}`, 'utf16le'), undefined, undefined, /UTF-16/, /save it as UTF-8/],
  ['UTF-16 without its mark', Buffer.from(a, 'utf16le'), undefined, undefined, /UTF-16/, /save it as UTF-8/],
  ['UTF-16, big end first', Buffer.from(`\uFEFF${a}`, 'utf16le').swap16(), undefined, undefined, /UTF-16/, /as UTF-8/],
  ['gzip', Buffer.from('1f8b0800', 'hex'), undefined, undefined, /gzip/, /unpack it/],
  ['zstd', Buffer.from('28b52ffd00', 'hex'), undefined, undefined, /zstd/, /unpack it/],
  ['a workbook', Buffer.from('504b030414', 'hex'), undefined, undefined, /Excel workbook/, /save the sheet as CSV/],
  ['Parquet', Buffer.from('PAR1\x15'), undefined, undefined, /Parquet/, /export it/],
];

const badFields: BadInput[] = [
  ['no id', jsonLine({ question: 'Why?' }), 1, 'id', /is missing/, /an id of its own/],
  ['an empty id', row({ id: '' }), 1, 'id', /is empty/, /an id of its own/],
  ['a blank id', row({ id: ' ' }), 1, 'id', /is empty/, /an id of its own/],
  ['a numeric id', row({ id: 7 }), 1, 'id', /is a number, but must be a string/, /put it in quotes/],
  ['an id of null', row({ id: null }), 1, 'id', /is null, but must be a string/, /an id of its own/],
  ['an id that is a list', row({ id: ['a'] }), 1, 'id', /is an array, but must be a string/, /like "q1"/],
  ['a long id', row({ id: 'x'.repeat(201) }), 1, 'id', /longer than 200/, /shorten it/],
  ['an id of two lines', row({ id: 'a\nb' }), 1, 'id', /control character/, /write it on one line/],
  ['an id cut in a character', row({ id: 'a\ud83d' }), 1, 'id', /half a character/, /mend it/],
  ['a misspelt id', jsonLine({ ID: 'a', question: 'Why?' }), 1, 'ID', /is no field of a row/, /mean "id"\? Rename it/],
  ['a repeated id', a + b + a, 3, 'id', /repeats the id of .*:1/, /an id of its own/],
  ['no question', jsonLine({ id: 'a' }), 1, undefined, /neither "question" nor "turns"/, /give it one/],
  ['question and turns', row({ turns: ['y'] }), 1, 'turns', /stands beside "question"/, /keep that one/],
  [
    'a misspelt question',
    jsonLine({ id: 'a', qeustion: 'Why?' }),
    1,
    'qeustion',
    /is no field of a row/,
    /mean "question"\? Rename it/,
  ],
  [
    'a question in capitals',
    jsonLine({ id: 'a', Question: 'Why?' }),
    1,
    'Question',
    /is no field of a row/,
    /mean "question"\? Rename it/,
  ],
  [
    'a misspelt question beside an object called body',
    jsonLine({ id: 'a', Question: 'Why?', body: { n: 1 } }),
    1,
    'Question',
    /is no field of a row/,
    /mean "question"/,
  ],
  ['an empty question', row({ question: '' }), 1, 'question', /is empty/, /give it a text/],
  ['a blank question', row({ question: ' \n ' }), 1, 'question', /is empty/, /give it a text/],
  ['a numeric question', row({ question: 5 }), 1, 'question', /is a number, but must be a string/, /in quotes/],
  [
    'a question of null',
    row({ question: null }),
    1,
    'question',
    /is null, but must be a string/,
    /leave the field out/,
  ],
  ['a question that is a list', row({ question: ['x'] }), 1, 'question', /is an array/, /write it like "Where/],
  ['a question cut in a character', row({ question: 'x\ud83d' }), 1, 'question', /half a character/, /mend it/],
  [
    'a text over the limit',
    row({ question: 'ä'.repeat(LIMITS.textBytes / 2 + 1) }),
    1,
    'question',
    /takes 262146 bytes, and at most 262144/,
    /shorten or split it/,
  ],
  ['turns that are text', jsonLine({ id: 'a', turns: 'x' }), 1, 'turns', /a string, but must be an array/, /like \["W/],
  ['no turns', jsonLine({ id: 'a', turns: [] }), 1, 'turns', /is empty/, /at least one text/],
  ['an empty turn', jsonLine({ id: 'a', turns: ['x', ''] }), 1, 'turns[1]', /is empty/, /give it a text/],
  ['a turn of null', jsonLine({ id: 'a', turns: ['x', null] }), 1, 'turns[1]', /is null/, /like "turns": \["W/],
  [
    'a turn with a role',
    jsonLine({ id: 'a', turns: [{ role: 'user' }] }),
    1,
    'turns[0]',
    /is an object/,
    /like "turns"/,
  ],
  [
    'a row over the limit',
    jsonLine({ id: 'a', turns: Array(5).fill('x'.repeat(120_000)) }),
    1,
    undefined,
    /takes 6000\d\d bytes, and a row may take 524288/,
    /shorten its texts, or split it/,
  ],
  ['messages without a body', jsonLine({ id: 'a', messages: [] }), 1, 'messages', /no field of a row/, /as "turns"/],
  ['an agent of a wrong type', row({ agentRid: 1 }), 1, 'agentRid', /must be a string/, /put it in quotes/],
  ['an agent of null', row({ agentRid: null }), 1, 'agentRid', /is null/, /leave the field out/],
  ['an empty agent', row({ agentRid: '' }), 1, 'agentRid', /is empty/, /or leave the field out/],
  ['a misspelt agent', row({ agent_rid: 'x' }), 1, 'agent_rid', /is no field of a row/, /mean "agentRid"\? Rename it/],
  ['a numeric version', row({ agentVersion: 2.1 }), 1, 'agentVersion', /is a number/, /put it in quotes/],
  ['an empty version', row({ agentVersion: '' }), 1, 'agentVersion', /is empty/, /name a version/],
  [
    'parameters that are a list',
    row({ parameterInputs: [] }),
    1,
    'parameterInputs',
    /an array, but must be an/,
    /like \{/,
  ],
  ['a parameter that is a text', parameter('x'), 1, 'parameterInputs.p', /must be an object/, /like "parameterInputs"/],
  [
    'a parameter of an unknown type',
    parameter({ type: 'number', value: 1 }),
    1,
    'parameterInputs.p.type',
    /is "number", but must be "string" or "objectSet"/,
    /write one of these/,
  ],
  [
    'a parameter without a type',
    parameter({ value: 'x' }),
    1,
    'parameterInputs.p.type',
    /is missing/,
    /write "string"/,
  ],
  [
    'a parameter without a value',
    parameter({ type: 'string' }),
    1,
    'parameterInputs.p.value',
    /is missing/,
    /write it/,
  ],
  [
    'a parameter with a numeric value',
    parameter({ type: 'string', value: 7 }),
    1,
    'parameterInputs.p.value',
    /is a number/,
    /put it in quotes/,
  ],
  [
    'a parameter with a further field',
    parameter({ type: 'string', value: 'x', unit: 'm' }),
    1,
    'parameterInputs.p.unit',
    /is no field/,
    /take it out/,
  ],
  [
    'a parameter without a name',
    row({ parameterInputs: { '': { type: 'string', value: 'x' } } }),
    1,
    'parameterInputs',
    /without a name/,
    /name it/,
  ],
  [
    'an object set that is no definition of one',
    parameter({ type: 'objectSet', ontology: 'o', objectSet: 'all' }),
    1,
    'parameterInputs.p.objectSet',
    /must be an object/,
    /write it/,
  ],
  [
    'an object set without an ontology',
    parameter({ type: 'objectSet', ontology: '', objectSet: { type: 'base' } }),
    1,
    'parameterInputs.p.ontology',
    /is empty/,
    /fill it in/,
  ],
  [
    'contexts that are no list',
    row({ contextsOverride: {} }),
    1,
    'contextsOverride',
    /an object, but must be an array/,
    /like \[/,
  ],
  [
    'a context of an unknown type',
    context({ type: 'web' }),
    1,
    'contextsOverride[0].type',
    /is "web"/,
    /write one of these/,
  ],
  [
    'a context without its objects',
    context({ type: 'objectContext', propertyTypeRids: [] }),
    1,
    'contextsOverride[0].objectRids',
    /is missing/,
    /write it/,
  ],
  [
    'an unknown mode',
    row({ mode: 'fast' }),
    1,
    'mode',
    /is "fast", but must be "streaming" or "blocking"/,
    /write one of/,
  ],
  ['a mode of a wrong type', row({ mode: true }), 1, 'mode', /is a boolean/, /write one of these/],
  [
    'a deadline in words',
    row({ deadline: 'tomorrow' }),
    1,
    'deadline',
    /is "tomorrow", but must be/,
    /like 2026-11-22T18:00:00Z/,
  ],
  ['a deadline without a zone', row({ deadline: '2026-11-22T18:00:00' }), 1, 'deadline', /lacks its zone/, /\+01:00/],
  [
    'a deadline without a time',
    row({ deadline: '2026-11-22' }),
    1,
    'deadline',
    /"2026-11-22", but must be/,
    /like 2026/,
  ],
  [
    'a deadline on 30 February',
    row({ deadline: '2026-02-30T10:00:00Z' }),
    1,
    'deadline',
    /no calendar has/,
    /like 2026/,
  ],
  [
    'a deadline at 25 h',
    row({ deadline: '2026-02-03T25:00:00Z' }),
    1,
    'deadline',
    /must be a date and time/,
    /like 2026/,
  ],
  [
    'a deadline in milliseconds',
    row({ deadline: 1795370400000 }),
    1,
    'deadline',
    /is a number, but must be a date/,
    /like 2026/,
  ],
  ['an empty deadline', row({ deadline: '' }), 1, 'deadline', /is "", but must be a date/, /like 2026/],
  [
    'a misspelt deadline',
    row({ dead_line: 'x' }),
    1,
    'dead_line',
    /is no field of a row/,
    /mean "deadline"\? Rename it/,
  ],
  ['metadata that is text', row({ metadata: 'y' }), 1, 'metadata', /a string, but must be an object/, /like \{"team"/],
  [
    'metadata that is a list',
    row({ metadata: [1] }),
    1,
    'metadata',
    /an array, but must be an object/,
    /like \{"team"/,
  ],
];

const badCsv: BadInput[] = [
  ['no header', 'a,Why?\n', 1, undefined, /must name the columns, and lacks "id" and "question"/, /begin the file/],
  ['a header without an id', 'question,note\nWhy?,x\n', 1, undefined, /lacks "id"/, /begin the file/],
  ['a header in capitals', 'ID,Question\na,Why?\n', 1, undefined, /lacks/, /rename "ID" to "id" and "Question" to/],
  ['semicolons', 'id;question\na;Why?\n', 1, undefined, /lacks/, /separated by ";", separate them by commas/],
  ['tabs', 'id\tquestion\na\tWhy?\n', 1, undefined, /lacks/, /separated by "\\t", separate them by commas/],
  ["Excel's line of its separator", 'sep=;\nid;question\na;Why?\n', 1, undefined, /lacks/, /separate them by commas/],
  ['a column named twice', 'id,question,id\na,b,c\n', 1, 'id', /names two columns/, /rename one/],
  ['too many cells', 'id,question\na,b\nb,Why, oh?\n', 3, undefined, /has 3 cells, but .* names 2/, /in double quotes/],
  ['too few cells', 'id,question\na\n', 2, undefined, /has 1 cell, but .* names 2/, /add the cells/],
  ['text without a column', 'id,question,\na,Why?,x\n', 2, undefined, /text in column 3/, /name it in the first line/],
  ['an empty question', 'id,question\na,Why?\nb,\n', 3, 'question', /is empty/, /give it a text/],
  ['an empty id', 'id,question\n,Why?\n', 2, 'id', /is empty/, /an id of its own/],
  [
    'a repeated id after a cell of several lines',
    'id,question\r\na,"x\r\ny"\r\na,z\r\n',
    4,
    'id',
    /of .*:2/,
    /of its own/,
  ],
  ['a quote that is not closed', 'id,question\na,Why?\nb,"Why?\nc,x\n', 3, undefined, /not closed/, /close it/],
  [
    'a quote not closed for long',
    `id,question\na,"${'x\n'.repeat(3e6)}`,
    2,
    undefined,
    /longer than 4194304/,
    /close it/,
  ],
  ['a header with an open quote', 'id,"question\na,Why?\n', 1, undefined, /not closed/, /close it/],
  ['a quote inside a cell', 'id,question\na,"Why" not?\n', 2, undefined, /double quote inside a cell/, /twice/],
  ['a quote in a bare cell', 'id,question\na,5" pipe\n', 2, undefined, /double quote inside a cell/, /twice/],
  [
    'broken JSON in a cell',
    'id,question,metadata\na,Why?,{x\n',
    2,
    'metadata',
    /must hold JSON/,
    /like "\{""team"": 7/,
  ],
  ['turns that are text', 'id,turns\na,Why?\n', 2, 'turns', /must hold JSON/, /like "\[""Which/],
  ['JSON of a wrong type', 'id,question,metadata\na,Why?,7\n', 2, 'metadata', /is a number, but must be/, /like \{/],
  ['an unknown mode', 'id,question,mode\na,Why?,fast\n', 2, 'mode', /is "fast"/, /write one of these/],
  ['a deadline without a zone', 'id,question,deadline\na,Why?,2026-11-22 18:00\n', 2, 'deadline', /zone/, /like 2026/],
  ['a NUL byte', 'id,question\na,Wh\0y?\n', 2, 'question', /NUL character/, /save the file/],
  ['a byte order mark in the middle', 'id,question\na,x\n\uFEFFb,y\n', 3, 'id', /byte order mark/, /remove it/],
  ['an empty file', '', undefined, undefined, /holds no rows/, /below the first line/],
  ['a header alone', 'id,question\n', undefined, undefined, /holds no rows/, /below the first line/],
  ['Latin-1', Buffer.from('id,question\na,Grüße?\n', 'latin1'), 2, undefined, /not UTF-8/, /save the file as UTF-8/],
  ['UTF-16', Buffer.from('\uFEFFid,question\n', 'utf16le'), undefined, undefined, /UTF-16/, /save it as UTF-8/],
];

const badOpenAi: BadInput[] = [
  ['no custom_id', jsonLine({ body: { input: 'Why?' } }), 1, 'custom_id', /is missing/, /write it like "q1"/],
  [
    'id in place of custom_id',
    jsonLine({ id: 'a', body: { input: 'Why?' } }),
    1,
    'id',
    /is called "custom_id"/,
    /rename it/,
  ],
  ['id beside custom_id', chat({ input: 'Why?' }, { id: 'b' }), 1, 'id', /beside "custom_id"/, /keep that one/],
  ['a numeric custom_id', chat({ input: 'Why?' }, { custom_id: 7 }), 1, 'custom_id', /is a number/, /put it in quotes/],
  ['an empty custom_id', chat({ input: 'Why?' }, { custom_id: '' }), 1, 'custom_id', /is empty/, /an id of its own/],
  ['a custom_id that repeats an id', a + chat({ input: 'Why?' }), 2, 'custom_id', /repeats the id/, /an id of its own/],
  [
    'a misspelt custom_id',
    jsonLine({ customId: 'a', body: { input: 'x' } }),
    1,
    'customId',
    /is no field of a row/,
    /mean "custom_id"\? Rename it/,
  ],
  [
    'another method',
    chat({ input: 'Why?' }, { method: 'GET' }),
    1,
    'method',
    /is "GET", but must be "POST"/,
    /mend it/,
  ],
  [
    'embeddings',
    chat({ input: 'x' }, { url: '/v1/embeddings' }),
    1,
    'url',
    /is "\/v1\/embeddings"/,
    /take the row out/,
  ],
  [
    'moderations',
    chat({ input: 'x' }, { url: '/v1/moderations' }),
    1,
    'url',
    /answers questions only/,
    /take the row out/,
  ],
  ['images', chat({ input: 'x' }, { url: '/v1/images/generations' }), 1, 'url', /questions only/, /take the row out/],
  ['a url of a wrong type', chat({ input: 'x' }, { url: 7 }), 1, 'url', /is a number/, /put it in quotes/],
  ['no body', jsonLine({ custom_id: 'a' }), 1, 'body', /is missing/, /write it like \{"messages"/],
  [
    'a body of text',
    jsonLine({ custom_id: 'a', body: 'Why?' }),
    1,
    'body',
    /is a string/,
    /write it like \{"messages"/,
  ],
  ['an empty body', chat({}), 1, 'body', /neither "messages" nor "input"/, /give it one/],
  ['messages and input', tuned({ input: 'x' }), 1, 'body.input', /stands beside "messages"/, /keep that one/],
  [
    'messages that are text',
    chat({ messages: 'Why?' }),
    1,
    'body.messages',
    /a string, but must be an array/,
    /like \[\{/,
  ],
  ['no messages', chat({ messages: [] }), 1, 'body.messages', /no message of a user/, /add one/],
  [
    'a system message alone',
    chat({ messages: [{ role: 'system', content: 'x' }] }),
    1,
    'body.messages',
    /no message of a user/,
    /add one/,
  ],
  ['a message of text', chat({ messages: ['Why?'] }), 1, 'body.messages[0]', /is a string/, /like "messages"/],
  ['a message without a role', message({ content: 'x' }), 1, 'body.messages[1].role', /is missing/, /write "user"/],
  [
    'a message of the assistant',
    message({ role: 'assistant', content: 'x' }),
    1,
    'body.messages[1].role',
    /gives every answer/,
    /take this message out/,
  ],
  [
    'a call of the assistant',
    message({ role: 'assistant', content: null, tool_calls: [] }),
    1,
    'body.messages[1].role',
    /is "assistant"/,
    /take this message out/,
  ],
  [
    'a message of a tool',
    message({ role: 'tool', tool_call_id: 't', content: 'x' }),
    1,
    'body.messages[1].role',
    /its own tools/,
    /take this message out/,
  ],
  [
    'a message of nobody',
    message({ role: 'critic', content: 'x' }),
    1,
    'body.messages[1].role',
    /is "critic"/,
    /one of these/,
  ],
  ['a message without content', message({ role: 'user' }), 1, 'body.messages[1].content', /is missing/, /write a text/],
  [
    'content of null',
    message({ role: 'user', content: null }),
    1,
    'body.messages[1].content',
    /is null/,
    /write a text/,
  ],
  [
    'content that is a number',
    message({ role: 'user', content: 7 }),
    1,
    'body.messages[1].content',
    /is a number/,
    /a text/,
  ],
  [
    'an empty message',
    message({ role: 'user', content: '' }),
    1,
    'body.messages[1].content',
    /is empty/,
    /give it a text/,
  ],
  [
    'a message without parts',
    message({ role: 'user', content: [] }),
    1,
    'body.messages[1].content',
    /is empty/,
    /give it a text/,
  ],
  [
    'an empty message after instructions',
    chat({
      messages: [
        { role: 'system', content: 'x' },
        { role: 'user', content: ' ' },
      ],
    }),
    1,
    'body.messages[1].content',
    /is empty/,
    /give it a text/,
  ],
  [
    'a part of text',
    message({ role: 'user', content: ['x'] }),
    1,
    'body.messages[1].content[0]',
    /is a string/,
    /like "messages"/,
  ],
  [
    'a part without a type',
    message({ role: 'user', content: [{ text: 'x' }] }),
    1,
    'body.messages[1].content[0].type',
    /is missing/,
    /write "text"/,
  ],
  [
    'a part without text',
    message({ role: 'user', content: [{ type: 'text' }] }),
    1,
    'body.messages[1].content[0].text',
    /is missing/,
    /write it/,
  ],
  [
    'an image',
    message({
      role: 'user',
      content: [
        { type: 'text', text: 'x' },
        { type: 'image_url', image_url: { url: 'data:' } },
      ],
    }),
    1,
    'body.messages[1].content[1].type',
    /is "image_url", but .* in text/,
    /picture into Foundry/,
  ],
  [
    'sound',
    message({ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }),
    1,
    'body.messages[1].content[0].type',
    /is "input_audio"/,
    /write down what is said/,
  ],
  [
    'a file',
    message({ role: 'user', content: [{ type: 'file', file: {} }] }),
    1,
    'body.messages[1].content[0].type',
    /is "file"/,
    /write the file's text/,
  ],
  [
    'an image as input',
    item({ role: 'user', content: [{ type: 'input_image' }] }),
    1,
    'body.input[0].content[0].type',
    /is "input_image"/,
    /into Foundry/,
  ],
  [
    'a refusal',
    item({ role: 'user', content: [{ type: 'refusal' }] }),
    1,
    'body.input[0].content[0].type',
    /is "refusal"/,
    /take this part out/,
  ],
  [
    'a call of a function',
    item({ type: 'function_call', name: 'f' }),
    1,
    'body.input[0].type',
    /takes messages only/,
    /take this item out/,
  ],
  [
    'parts in place of messages',
    item({ type: 'input_text', text: 'x' }),
    1,
    'body.input[0].type',
    /is "input_text"/,
    /take this item out/,
  ],
  [
    'an input of a wrong type',
    chat({ input: 7 }),
    1,
    'body.input',
    /is a number, but must be a text or an array of messages/,
    /write a text/,
  ],
  ['an empty input', chat({ input: '' }), 1, 'body.input', /is empty/, /give it a text/],
  [
    'a text over the limit',
    chat({ input: 'x'.repeat(LIMITS.textBytes + 1) }),
    1,
    'body.input',
    /262145 bytes/,
    /shorten/,
  ],
  [
    'instructions of a wrong type',
    tuned({ instructions: 7 }),
    1,
    'body.instructions',
    /is a number/,
    /put it in quotes/,
  ],
  ['tools', tuned({ tools: [{ type: 'function' }] }), 1, 'body.tools', /has its own/, /give the tools to the agent/],
  [
    'a JSON schema',
    tuned({ response_format: { type: 'json_schema' } }),
    1,
    'body.response_format',
    /Markdown/,
    /ask for the form in the text/,
  ],
  [
    'a format of text',
    tuned({ text: { format: { type: 'json_object' } } }),
    1,
    'body.text.format',
    /Markdown/,
    /ask for the form/,
  ],
  ['several answers', tuned({ n: 3 }), 1, 'body.n', /a row has one/, /a row of its own/],
  [
    'an earlier response',
    tuned({ previous_response_id: 'r' }),
    1,
    'body.previous_response_id',
    /kept at OpenAI/,
    /write its text/,
  ],
  ['spoken answers', tuned({ modalities: ['text', 'audio'] }), 1, 'body.modalities', /answers in text/, /take it out/],
  ['metadata that is text', tuned({ metadata: 'x' }), 1, 'body.metadata', /must be an object/, /like \{"team"/],
  [
    'metadata in two places',
    chat({ input: 'x', metadata: {} }, { metadata: {} }),
    1,
    'metadata',
    /in "body" as well/,
    /keep one/,
  ],
  ['a deadline in words', chat({ input: 'x' }, { deadline: 'soon' }), 1, 'deadline', /is "soon"/, /like 2026/],
  [
    'output in place of input',
    jsonLine({ id: 'r', custom_id: 'a', response: { body: {} }, error: null }),
    1,
    'response',
    /the output of a batch/,
    /file of its input/,
  ],
];

/** Sees that the one problem of a file has its place, and says what was met and what to do. */
async function expectRefused(path: string, [, , line, field, met, remedy]: BadInput): Promise<void> {
  const { rows, problems } = await refusal(path, { nameOf: () => 'orders' });
  expect(problems).toHaveLength(1);
  const problem = problems[0]!;
  expect(problem).toEqual({
    file: 'orders',
    ...(line !== undefined && { line }),
    ...(field !== undefined && { field }),
    message: expect.any(String),
  });
  const at = problem.message.indexOf(';');
  expect(problem.message.slice(0, at)).toMatch(met);
  expect(problem.message.slice(at)).toMatch(remedy);
  expect(describeProblem(problem)).toMatch(/^orders(:\d+)?: [^\n]+$/);
  expect(problem.message.length).toBeLessThan(330);
  // Rows are handed out only up to the first problem.
  expect(rows.length).toBeLessThan(line ?? 1);
}

describe('readBatchRows() refuses', () => {
  test.each(brokenJson)('broken JSON: %s', async (...bad) => expectRefused(await file(bad[1]), bad));
  test.each(notJsonl)('no JSONL: %s', async (...bad) => expectRefused(await file(bad[1]), bad));
  test.each(badFields)('%s', async (...bad) => expectRefused(await file(bad[1]), bad));
  test.each(badCsv)('CSV: %s', async (...bad) =>
    expectRefused(await file(bad[1], `${bad[0].replaceAll(/\W/g, '-')}.csv`), bad),
  );
  test.each(badOpenAi)('OpenAI: %s', async (...bad) => expectRefused(await file(bad[1]), bad));
});

describe('readBatchRows() refuses, of files', () => {
  test('none at all', async () => {
    expect((await refusal([])).problems).toEqual([{ message: 'no file is named; name one, or - for standard input' }]);
  });

  test('one that does not exist', async () => {
    const path = join(folder(), 'nowhere.jsonl');
    expect((await refusal(path)).problems).toEqual([{ file: path, message: 'does not exist; check the path' }]);
    expect((await refusal('')).problems).toMatchObject([{ message: 'does not exist; check the path' }]);
  });

  test.each(['folder', 'folder.csv', 'folder.jsonl'])('a directory: %s', async (name) => {
    const path = join(folder(), name);
    await mkdir(path);
    expect((await refusal(path)).problems).toEqual([{ file: path, message: 'is a directory; name a file' }]);
  });

  test('a path through a file', async () => {
    const path = join(await file(a), 'more.jsonl');
    const [problem] = (await refusal(path)).problems;
    expect(problem).toMatchObject({
      file: path,
      message: expect.stringMatching(/^cannot be read \(ENOTDIR.*; .*name another/),
    });
  });

  test('a pipe', async () => {
    const path = join(folder(), 'pipe');
    execFileSync('mkfifo', [path]);
    const writing = writeFile(path, a);
    const [problem] = (await refusal(path)).problems;
    await writing.catch(() => undefined); // Nobody reads it.
    expect(problem).toMatchObject({ file: path, message: expect.stringMatching(/^is a pipe, .*; write it to a file/) });
  });

  test('one that may not be read', async () => {
    const path = await file(a);
    await chmod(path, 0);
    // Nothing is unreadable to root.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      expect((await refusal(path)).problems).toEqual([
        { file: path, message: 'may not be read; check its permissions' },
      ]);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  test('one of an unknown kind, by its content', async () => {
    const [problem] = (await refusal(await file('Where is order 4711?\n', 'questions.txt'))).problems;
    expect(problem).toMatchObject({
      line: 1,
      message: expect.stringMatching(/must name the columns.*; begin the file/),
    });
  });

  test('one that is named twice', async () => {
    const path = await file(a);
    const again = join(folder(), '.', 'x', '..', path.slice(folder().length));
    expect((await refusal([path, again])).problems).toEqual([
      { file: again, message: 'is named twice; name each file once' },
    ]);
  });

  test('two that share an id', async () => {
    const [first, second] = [await file(b + a), await file('id,question\nc,x\na,y\n', 'shared.csv')];
    expect((await refusal([first, second])).problems).toEqual([
      { file: second, line: 3, field: 'id', message: `repeats the id of ${first}:2; give every row an id of its own` },
    ]);
  });

  test('several, each with its problems', async () => {
    const files = [
      await file('x\n'),
      join(folder(), 'nowhere'),
      await file(a),
      await file('id;question\n', 'semi.csv'),
    ];
    const { rows, problems } = await refusal(files);
    expect(problems.map((problem) => problem.file)).toEqual([files[0], files[1], files[3]]);
    expect(rows).toEqual([]);
  });
});

describe('BatchInputError', () => {
  test('tells at most 20 problems, in order, says so, and repeats no text of the input', async () => {
    const lines = Array.from({ length: 50 }, (_, n) => jsonLine({ id: `r${n}`, question: n, secret: 'do not tell' }));
    const { problems } = await refusal(await file(lines.join('')));
    expect(problems.map((problem) => problem.line)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    const { message: told } = new BatchInputError(problems);
    expect(told).toContain('Cannot start the batch: 20 problems in its input (there may be more)\n');
    expect(told.split('\n')).toHaveLength(21);
    expect(told).not.toContain('do not tell');
  });

  test('tells every problem of a row', async () => {
    const { problems } = await refusal(
      await file(row({ id: 7, mode: 'x', deadline: 'y', metadata: [], agentRid: '' })),
    );
    expect(problems.map(({ line, field }) => `${line} ${field}`).sort()).toEqual([
      '1 agentRid',
      '1 deadline',
      '1 id',
      '1 metadata',
      '1 mode',
    ]);
  });

  test('counts those of several files together', async () => {
    const many = Array.from({ length: 15 }, () => 'x\n').join('');
    const { problems } = await refusal([await file(many), await file(many)]);
    expect(problems).toHaveLength(20);
  });
});
