/** A worker of one's own that also works for AIP agents. Where Foundry and Temporal are comes from the environment (README.md). */
import { fileURLToPath } from 'node:url';
import { Worker } from '@temporalio/worker';
import { AipAgentsPlugin } from 'aip-temporal';

const plugin = new AipAgentsPlugin({
  // A chat or a mailbox, in earnest.
  onApproval: ({ workflowId, approval }) => {
    console.log(`${workflowId} waits: ${approval.message}\n  aip-temporal automation approve --workflow ${workflowId}`);
  },
});

const worker = await Worker.create({
  taskQueue: process.env['AIP_TASK_QUEUE'] ?? 'agent-work',
  workflowsPath: fileURLToPath(new URL('./workflows.ts', import.meta.url)),
  plugins: [plugin],
});
console.log(`Works on task queue ${worker.options.taskQueue} until Ctrl-C`);
await worker.run();
