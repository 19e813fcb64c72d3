import type { AgentVersionDefinition } from './agents.js';
import { jsonAnswer } from './json-answer.js';
import type { ParameterInputs } from './parameters.js';

/**
 * What a user text may ask of the simulator, in square brackets anywhere in it. Meant for demos, examples and tests that
 * speak to a simulator only through the agents API:
 *
 * - `[takes 5s]`, `[takes 300ms]`: the exchange takes this long;
 * - `[long 20000]`: the answer has at least so many characters;
 * - `[set status=shipped]`: the answer updates this parameter (READ_WRITE ones only);
 * - `[fail SessionExecutionFailed]`: the exchange fails with this documented error, after its time;
 * - `[answer]`: what follows, to the end of the text, is the answer, word for word.
 */
export interface Directives {
  takesMs?: number;
  minLength?: number;
  set: Record<string, string>;
  fail?: string;
  answer?: string;
}

const directive = /\[(takes|long|set|fail) ([^\]]+)\]/g;

/** Reads the directives of a user text. What does not parse is plain text. */
export function parseDirectives(text: string): Directives {
  const directives: Directives = { set: {} };
  if (!text.includes('[')) return directives;
  const answerAt = text.indexOf('[answer]');
  if (answerAt >= 0) directives.answer = text.slice(answerAt + '[answer]'.length).trim();
  for (const [, name, value = ''] of (answerAt >= 0 ? text.slice(0, answerAt) : text).matchAll(directive)) {
    if (name === 'takes') {
      const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s)$/.exec(value) ?? [];
      if (amount !== undefined) directives.takesMs = Number(amount) * (unit === 's' ? 1000 : 1);
    } else if (name === 'long') {
      if (/^\d{1,7}$/.test(value)) directives.minLength = Number(value);
    } else if (name === 'set') {
      const at = value.indexOf('=');
      if (at > 0) directives.set[value.slice(0, at).trim()] = value.slice(at + 1).trim();
    } else {
      directives.fail = value.trim();
    }
  }
  return directives;
}

/** A user text whose streamed answer takes 5 seconds, whatever the simulator's latency. */
export const slowText = 'Please write a long report about all open shipments, step by step. [takes 5s]';

/** FNV-1a, 32 bits: stable across runs and machines. */
export function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

const remarks = [
  'The café in Zürich has paid 12,40 € for it.',
  'Shipment 東京-漢字 left the harbour on time 🚢.',
  'Nothing is open: naïve counting gives ½ of what the ledger says.',
  'The crew of Łódź reports “all delivered” ✅.',
  'Two crates of jalapeños are missing, worth 80 £.',
];

/** What an answer depends on, and nothing else. */
export interface AnswerInput {
  text: string;
  agentVersion: string;
  /** Exchanges already in the session, plus one. */
  turn: number;
  parameterInputs?: ParameterInputs;
}

/**
 * The answer that the simulator gives: what `[answer]` has; JSON, to a question that tells a JSON Schema; else markdown with
 * characters of one to four bytes, naming the turn, the parameters and a digest of the question, so that an answer can be told
 * from every other one.
 */
export function simulatedAnswer(input: AnswerInput): string {
  const directives = parseDirectives(input.text);
  if (directives.answer !== undefined) return directives.answer;
  const answer = jsonAnswer(input.text) ?? proseAnswer(input);
  return directives.minLength === undefined ? answer : lengthen(answer, directives.minLength);
}

function proseAnswer(input: AnswerInput): string {
  const hash = textHash(input.text);
  const first = hash % remarks.length;
  const second = (first + 1 + ((hash >>> 8) % (remarks.length - 1))) % remarks.length;
  const question = input.text.length > 120 ? `${sliceWhole(input.text, 120)}…` : input.text;
  const parts = [
    `**Answer ${input.turn}** (agent ${input.agentVersion}, question #${hash.toString(16).padStart(8, '0')})`,
    `You asked: “${question}”`,
    `- ${remarks[first]}\n- ${remarks[second]}`,
  ];
  const names = Object.keys(input.parameterInputs ?? {}).sort();
  if (names.length > 0) parts.push(`Known: ${names.map((name) => describe(name, input.parameterInputs)).join(', ')}.`);
  return parts.join('\n\n');
}

/** Cuts before a surrogate pair rather than through it: half a pair is not UTF-8. */
function sliceWhole(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length);
}

function describe(name: string, inputs: ParameterInputs | undefined): string {
  const value = inputs?.[name];
  return value?.type === 'string' ? `${name} = “${value.value}”` : `${name} = an object set`;
}

function lengthen(answer: string, minLength: number): string {
  const lines = [answer];
  let length = answer.length;
  for (let step = 1; length < minLength; step++) {
    const line = `\n\n${step}. ${remarks[step % remarks.length]}`;
    lines.push(line);
    length += line.length;
  }
  return lines.join('');
}

/** An update of an application variable on the wire. */
export type ParameterUpdate = { type: 'string'; value: string } | { type: 'objectSet'; value: string };

/** The updates that an answer makes: those its text asks for, of variables which the agent may write. */
export function parameterUpdates(text: string, version: AgentVersionDefinition): Record<string, ParameterUpdate> {
  const updates: Record<string, ParameterUpdate> = {};
  for (const [name, value] of Object.entries(parseDirectives(text).set)) {
    const parameter = Object.hasOwn(version.parameters, name) ? version.parameters[name] : undefined;
    if (parameter?.access !== 'READ_WRITE') continue;
    updates[name] =
      parameter.parameterType.type === 'string'
        ? { type: 'string', value }
        : { type: 'objectSet', value: value.startsWith('ri.') ? value : objectSetRid(value) };
  }
  return updates;
}

function objectSetRid(name: string): string {
  return `ri.object-set.main.versioned-object-set.${textHash(name).toString(16).padStart(8, '0')}`;
}

/** Tokens of a text, by the rule of thumb of four characters each. */
export function countTokens(text: string): number {
  return Math.ceil(text.length / 4);
}
