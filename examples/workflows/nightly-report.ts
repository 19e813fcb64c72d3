/** The same piece of work every night, in one session of the agent: look, list, write. Started by a Schedule (start.ts). */
import { askJson, Conversation } from 'aip-temporal/workflows';

export interface NightlyReportInput {
  agentRid: string;
  /** What to look at. */
  about: string;
}

export interface NightlyReport {
  day: string;
  incidents: { id: string; severity: 'low' | 'high' }[];
  /** For people, in markdown. */
  text: string;
  tokens: number;
}

const schema = {
  type: 'object',
  required: ['incidents'],
  properties: {
    incidents: {
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'severity'],
        properties: { id: { type: 'string' }, severity: { enum: ['low', 'high'] } },
      },
    },
  },
};

export async function nightlyReport({ agentRid, about }: NightlyReportInput): Promise<NightlyReport> {
  const day = new Date().toISOString().slice(0, 10); // In a workflow this is its own time: the same at each replay.
  const conversation = Conversation.open({ agentRid, title: `Report of ${day}` });
  const { json } = await askJson<Pick<NightlyReport, 'incidents'>>(conversation, {
    message: `List the incidents of ${day}. ${about}`,
    schema,
  });
  const high = json.incidents.filter(({ severity }) => severity === 'high').length;
  const text = await conversation.answer(
    `Write a report of them for the managers; begin with the ${high} severe ones.`,
  );
  await conversation.close();
  return { day, ...json, text, tokens: conversation.totals.tokens };
}
