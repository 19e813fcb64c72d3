/** A quick agent answers, and says how sure it is; where it is not, an expert takes over with all that was said. */
import { askJson, Conversation } from 'aip-temporal/workflows';

export interface EscalationInput {
  agentRid: string;
  expertAgentRid: string;
  question: string;
  /** 0 to 1: from here on the first answer stands. Default 0.7. */
  sureEnough?: number;
}

export interface EscalationResult {
  answer: string;
  answeredBy: 'agent' | 'expert';
  confidence: number;
}

interface Judged {
  answer: string;
  confidence: number;
}

const schema = {
  type: 'object',
  required: ['answer', 'confidence'],
  properties: { answer: { type: 'string' }, confidence: { type: 'number', minimum: 0, maximum: 1 } },
};

export async function escalation(input: EscalationInput): Promise<EscalationResult> {
  const { agentRid, expertAgentRid, question, sureEnough = 0.7 } = input;
  const conversation = Conversation.open({ agentRid });
  const { json } = await askJson<Judged>(conversation, { message: question, schema });
  await conversation.close();
  if (json.confidence >= sureEnough) return { ...json, answeredBy: 'agent' };

  const said = conversation.transcript.map(({ text, outcome }) => {
    return `Asked: ${text ?? ''}\nAnswered: ${outcome.result?.agentMarkdownResponse ?? ''}`;
  });
  const expert = Conversation.open({ agentRid: expertAgentRid });
  const answer = await expert.answer(
    `A colleague is only ${Math.round(json.confidence * 100)} % sure of an answer. Check it and answer yourself.\n\n${said.join('\n\n')}`,
  );
  await expert.close();
  return { answer, answeredBy: 'expert', confidence: json.confidence };
}
