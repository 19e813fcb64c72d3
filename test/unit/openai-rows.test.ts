import { describe, expect, test } from '@jest/globals';
import { readBatchRows } from '../../src/batch-files/index.js';
import type { BatchRow } from '../../src/protocol/batch.js';
import { allRows, goodLine, inputFiles, jsonLine } from '../support/batch-input.js';

const { file } = inputFiles();
const rowsOf = async (...lines: object[]): Promise<BatchRow[]> =>
  allRows(readBatchRows(await file(lines.map(jsonLine).join(''))));
const CHAT = { method: 'POST', url: '/v1/chat/completions' };
const RESPONSES = { method: 'POST', url: '/v1/responses' };
const user = (content: unknown) => ({ role: 'user', content });
const turnsOf = async (body: object): Promise<string[] | undefined> =>
  (await rowsOf({ custom_id: 'a', ...CHAT, body }))[0]?.turns;

describe('A line of an input file of the OpenAI Batch API', () => {
  test('becomes a row: custom_id its id, the message of the user its text; the rest is kept', async () => {
    const body = { model: 'gpt-4o-mini', temperature: 0.2, max_tokens: 100, messages: [user('Why?')] };
    expect(await rowsOf({ custom_id: 'request-1', ...CHAT, body })).toEqual([
      {
        id: 'request-1',
        turns: ['Why?'],
        extra: { ...CHAT, body: { model: 'gpt-4o-mini', temperature: 0.2, max_tokens: 100 } },
      },
    ]);
  });

  test.each([
    ['a text', 'Why?'],
    ['messages', [user('Why?')]],
    ['messages with their type', [{ type: 'message', ...user('Why?') }]],
    ['parts', [user([{ type: 'input_text', text: 'Why?' }])]],
  ])('may be of /v1/responses, its input %s', async (_what, input) => {
    expect(await rowsOf({ custom_id: 'a', ...RESPONSES, body: { model: 'm', input } })).toEqual([
      { id: 'a', turns: ['Why?'], extra: { ...RESPONSES, body: { model: 'm' } } },
    ]);
  });

  test('may lack method and url, or have the url of Azure', async () => {
    const body = { messages: [user('Why?')] };
    expect(await rowsOf({ custom_id: 'a', body }, { custom_id: 'b', url: '/chat/completions', body })).toEqual([
      { id: 'a', turns: ['Why?'] },
      { id: 'b', turns: ['Why?'], extra: { url: '/chat/completions' } },
    ]);
  });

  test('has a turn for each message of the user, and a line for each part of one', async () => {
    expect(await turnsOf({ messages: [user('One?'), user('Two?')] })).toEqual(['One?', 'Two?']);
    const parts = ['One', 'two?'].map((text) => ({ type: 'text', text }));
    expect(await turnsOf({ messages: [user(parts)] })).toEqual(['One\ntwo?']);
  });

  test.each(['system', 'developer'])(
    'has its %s message in front of the first turn, an empty line between',
    async (role) => {
      const messages = [{ role, content: 'Be brief.' }, user('One?'), user('Two?')];
      expect(await turnsOf({ messages })).toEqual(['Be brief.\n\nOne?', 'Two?']);
    },
  );

  test('has each instruction in front of the text that follows, and those at the end behind the last', async () => {
    const instruct = (content: unknown) => ({ role: 'system', content });
    const messages = [
      instruct('A'),
      instruct([{ type: 'text', text: 'B' }]),
      user('One?'),
      instruct('C'),
      user('Two?'),
      instruct('D'),
      instruct(' '),
    ];
    expect(await turnsOf({ messages })).toEqual(['A\n\nB\n\nOne?', 'C\n\nTwo?\n\nD']);
    expect(await turnsOf({ input: 'Why?', instructions: 'Be brief.' })).toEqual(['Be brief.\n\nWhy?']);
    expect(await turnsOf({ input: 'Why?', instructions: null })).toEqual(['Why?']);
  });

  test('hands its metadata through', async () => {
    expect(await rowsOf({ custom_id: 'a', body: { input: 'x', metadata: { team: '7' } } })).toEqual([
      { id: 'a', turns: ['x'], metadata: { team: '7' } },
    ]);
    expect(await rowsOf({ custom_id: 'a', body: { input: 'x', metadata: null } })).toEqual([{ id: 'a', turns: ['x'] }]);
  });

  test('may have fields of ours beside its body', async () => {
    const ours = { agentVersion: '2.0', mode: 'blocking', deadline: '2026-11-22T18:00:00Z', metadata: { n: 1 } };
    expect(await rowsOf({ custom_id: 'a', body: { input: 'x' }, ...ours, note: 'mine' })).toEqual([
      { id: 'a', turns: ['x'], ...ours, extra: { note: 'mine' } },
    ]);
  });

  test('passes over what asks for nothing', async () => {
    const nothing = {
      n: 1,
      tools: [],
      response_format: { type: 'text' },
      text: { format: { type: 'text' }, verbosity: 'low' },
      modalities: ['text'],
      previous_response_id: null,
    };
    expect(await turnsOf({ messages: [user('Why?')], ...nothing })).toEqual(['Why?']);
  });

  test('stands among rows of other kinds', async () => {
    const content = goodLine('a') + jsonLine({ custom_id: 'b', body: { input: 'x' } }) + goodLine('c');
    const rows = await allRows(readBatchRows([await file(content), await file('id,question\nd,Why?\n', 'd.csv')]));
    expect(rows.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd']);
  });
});
