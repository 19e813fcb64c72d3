/** Starts an example and waits for its result: `node start.ts escalation`. `node start.ts schedule` has the report made every night. */
import { Client, Connection } from '@temporalio/client';
import type * as workflows from './workflows.js';

const taskQueue = process.env['AIP_TASK_QUEUE'] ?? 'agent-work';
const agentRid = process.env['AIP_AGENT_RID'] ?? '';
const expertAgentRid = process.env['AIP_EXPERT_AGENT_RID'] ?? agentRid;

/** The simulator gives what follows `[answer]` as its answer. With an agent of Foundry, leave it away. */
const simulated = (json: unknown): string => `[answer]\n\`\`\`json\n${JSON.stringify(json)}\n\`\`\`\n`;

const inputs: { [Name in keyof typeof workflows]: Parameters<(typeof workflows)[Name]>[0] } = {
  nightlyReport: { agentRid, about: simulated({ incidents: [{ id: 'INC-7', severity: 'high' }] }) },
  humanApproval: { agentRid, task: 'Write to the customer of order 4711 that it will be late.' },
  fanOutReduce: {
    agentRid,
    questions: ['What is new in Hamburg?', 'What is new in Oslo?', 'What is new in Porto?'],
    reduce: `Put it in one sentence. ${simulated({ summary: 'All quiet.', urgency: 1 })}`,
  },
  escalation: {
    agentRid,
    expertAgentRid,
    question: `Why is shipment 4711 late? ${simulated({ answer: 'The weather?', confidence: 0.4 })}`,
  },
  longConversation: { agentRid, topic: 'the strike in the harbour', weeks: 3, everyMs: 5_000 },
};

const [name = ''] = process.argv.slice(2);
const connection = await Connection.connect({ address: process.env['TEMPORAL_ADDRESS'] ?? 'localhost:7233' });
const client = new Client({ connection });
if (name === 'schedule') {
  await client.schedule.create({
    scheduleId: 'nightly-report',
    spec: { calendars: [{ hour: 3 }] },
    action: { type: 'startWorkflow', workflowType: 'nightlyReport', args: [inputs.nightlyReport], taskQueue },
  });
  console.log('Schedule nightly-report: every night at three (UTC)');
} else if (name in inputs) {
  const args = [inputs[name as keyof typeof inputs]];
  const handle = await client.workflow.start(name, { taskQueue, workflowId: `${name}/${Date.now()}`, args });
  console.error(`Started ${handle.workflowId}`);
  console.log(JSON.stringify(await handle.result(), undefined, 2));
} else {
  console.error(`Name one of ${Object.keys(inputs).join(', ')}, or schedule`);
  process.exitCode = 2;
}
await connection.close();
