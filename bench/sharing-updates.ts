import { randomUUID } from 'node:crypto';
import type { Figure } from './figure.js';
import { connectMembers, memberFigures, MEMBERS } from './sharing-members.js';
import type { SharingRig } from './sharing-rig.js';
import type { Lease, leases, Report } from './sharing-workflows.js';

const SUBJECT = `sharing, leases by updates, ${MEMBERS.length} members, one a second`;
const LIMIT = 50;

/** Members report to a workflow by an update, and are told their share. */
export async function updateFigures(rig: SharingRig): Promise<Figure[]> {
  const taskQueue = `leases-${randomUUID()}`;
  const [workflowId, worker, clients] = [taskQueue, await rig.startWorker(taskQueue), await connectMembers(rig)];
  const { workflow } = rig.installation.client.client;
  const handle = await workflow.start<typeof leases>('leases', {
    ...{ workflowId, taskQueue, args: [MEMBERS.length, LIMIT] },
  });
  const handles = clients.map(({ client }) => client.workflow.getHandle(workflowId));
  const exchange = async (report: Report) => {
    const lease = await handles[report.member]?.executeUpdate<Lease, [Report]>('report', { args: [report] });
    return lease?.numbers ?? [];
  };
  const figures = await memberFigures(SUBJECT, rig.installation, { workflowId, workerPid: worker.pid, exchange });
  await handle.terminate();
  await Promise.all([worker.stop(), ...clients.map((client) => client.close())]);
  return figures;
}
