import { shown } from '../checks/shown-value.js';
import { isObject, type RowProblem } from './row-problems.js';

/** What a request may ask of a model, but of an agent in vain. What only tunes a model (`temperature`, …) is passed over. */
export function bodyProblems(body: Record<string, unknown>): RowProblem[] {
  return [...inputProblems(body), ...toolProblems(body), ...formProblems(body), ...keptElsewhere(body)].map(
    ({ field, message }) => ({ field: field === undefined ? 'body' : `body.${field}`, message }),
  );
}

function inputProblems({ messages, input }: Record<string, unknown>): RowProblem[] {
  if (messages === undefined && input === undefined) {
    return [{ message: 'has neither "messages" nor "input"; give it one of them' }];
  }
  if (messages === undefined || input === undefined) return [];
  return [{ field: 'input', message: 'stands beside "messages"; a request has one of the two, keep that one' }];
}

function toolProblems(body: Record<string, unknown>): RowProblem[] {
  const message =
    'asks for tools, and an AIP agent has its own; take it out, and give the tools to the agent in Foundry';
  return ['tools', 'functions']
    .filter((field) => Array.isArray(body[field]) && body[field].length > 0)
    .map((field) => ({ field, message }));
}

function formProblems(body: Record<string, unknown>): RowProblem[] {
  const { text, n, audio, modalities } = body;
  const problems: RowProblem[] = [];
  for (const [field, format] of [
    ['response_format', body['response_format']],
    ['text.format', isObject(text) ? text['format'] : undefined],
  ] as const) {
    const message =
      'asks for a form of answer, and an AIP agent writes Markdown; take it out, and ask for the form in the text';
    if (isObject(format) && format['type'] !== 'text') problems.push({ field, message });
  }
  if (typeof n === 'number' && n > 1) {
    const message = 'asks for several answers, and a row has one; take it out, and give each answer a row of its own';
    problems.push({ field: 'n', message });
  }
  const spoken = Array.isArray(modalities) && modalities.some((kind) => kind !== 'text') ? 'modalities' : undefined;
  const field = audio == null ? spoken : 'audio';
  if (field !== undefined)
    problems.push({ field, message: 'asks for more than text, and an AIP agent answers in text; take it out' });
  return problems;
}

function keptElsewhere(body: Record<string, unknown>): RowProblem[] {
  const message =
    'names what is kept at OpenAI, where an AIP agent does not see it; take it out, and write its text into the question';
  return ['previous_response_id', 'conversation', 'prompt']
    .filter((field) => body[field] != null)
    .map((field) => ({ field, message }));
}

/** Why a request to this URL is no question. */
export function urlProblem(url: unknown): string {
  return `is ${shown(url)}, but an AIP agent answers questions only, as "/v1/chat/completions" and "/v1/responses" do; write one of these, or take the row out`;
}

/** Why a message of this role is not taken. */
export function roleProblem(role: unknown): string {
  switch (role) {
    case undefined:
      return 'is missing; write "user", "system" or "developer"';
    case 'assistant':
      return 'is "assistant", but an AIP agent gives every answer of its session itself; take this message out, the messages of the user are asked one after the other';
    case 'tool':
    case 'function':
      return `is "${role}", but an AIP agent calls its own tools; take this message out, and write what it holds into the question`;
    default:
      return `is ${shown(role)}, but must be "user", "system" or "developer"; write one of these`;
  }
}

/** Why an item of the Responses API that is no message (a call, reasoning, a reference) is not taken. */
export function itemProblem(type: unknown): string {
  return `is ${shown(type)}, but an AIP agent takes messages only; take this item out`;
}

/** Why a part of a message that is no text is not taken. */
export function partProblem(type: unknown): string {
  if (type === undefined) return 'is missing; write "text"';
  const met = `is ${shown(type)}, but an AIP agent is asked in text`;
  if (typeof type !== 'string') return `${met}; write "text"`;
  if (type.includes('image')) return `${met}; put the picture into Foundry, and name it in the question`;
  if (type.includes('audio')) return `${met}; write down what is said`;
  if (type.includes('file'))
    return `${met}; write the file's text into the question, or give the file to the agent in Foundry`;
  return `${met}; take this part out, or write it as {"type": "text", "text": "…"}`;
}
