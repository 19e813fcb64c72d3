/** Many questions at once, as a batch; then one that puts the answers together. */
import { askJson, Conversation, runBatch } from 'aip-temporal/workflows';

export interface FanOutReduceInput {
  agentRid: string;
  questions: string[];
  /** What is to be made of the answers. */
  reduce: string;
  /** Questions at the agent at once. Default 20. */
  concurrency?: number;
}

export interface Finding {
  summary: string;
  /** 1 to 5. */
  urgency: number;
}

const schema = {
  type: 'object',
  required: ['summary', 'urgency'],
  properties: { summary: { type: 'string' }, urgency: { type: 'integer', minimum: 1, maximum: 5 } },
};

/** Of each answer: all of them must fit into one message. */
const CHARACTERS = 2_000;

export async function fanOutReduce(input: FanOutReduceInput): Promise<Finding & { answered: number; failed: number }> {
  const { agentRid, questions, reduce, concurrency = 20 } = input;
  const batch = await runBatch({ agentRid, rows: questions, concurrency });
  const answers: string[] = [];
  for await (const page of batch.pages()) {
    for (const { row, result } of page) {
      const answer = result.exchanges.at(-1)?.agentMarkdownResponse;
      if (answer !== undefined) answers.push(`${row.id}: ${answer.slice(0, CHARACTERS)}`);
    }
  }
  const conversation = Conversation.open({ agentRid });
  const { json } = await askJson<Finding>(conversation, { message: `${answers.join('\n')}\n\n${reduce}`, schema });
  await conversation.close();
  return { ...json, answered: answers.length, failed: questions.length - answers.length };
}
