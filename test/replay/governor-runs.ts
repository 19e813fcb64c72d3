import { closeAgent, describeLimits, openAgent, setLimits } from '../../src/client/index.js';
import { governorWorkflowId } from '../../src/protocol/limits.js';
import { until, type Rig } from '../support/rig.js';
import { startWorkerProcess } from '../support/worker-process.js';
import type { Story } from './recorded-runs.js';

const idOf = ({ taskQueue, simulator }: Rig): string => governorWorkflowId(taskQueue, simulator.agentRid);
const handleOf = (rig: Rig) => rig.client.client.workflow.getHandle(idOf(rig));
const limitsOf = (rig: Rig) => describeLimits(rig.client, rig.simulator.agentRid);
const workersAre = (rig: Rig, count: number, ms = 20_000) =>
  until(`${count} workers take part`, async () => (await limitsOf(rig)).workers.length === count, ms);
const ask = (rig: Rig) => rig.client.conversation().ask('Are you there?');
const ended = (rig: Rig) =>
  handleOf(rig)
    .result()
    .catch(() => undefined);

export const governorRuns: Readonly<Record<string, Story>> = {
  'a fleet whose agent is given ceilings, is closed and opened, and cancelled': async (rig) => {
    const { agentRid } = rig.simulator;
    await ask(rig);
    await workersAre(rig, 1);
    await setLimits(rig.client, agentRid, { maxConcurrency: 5, maxPerMinute: 600 });
    await closeAgent(rig.client, agentRid, { reason: 'for a moment' });
    await openAgent(rig.client, agentRid);
    await setLimits(rig.client, agentRid, { maxConcurrency: null, maxPerMinute: null });
    await handleOf(rig).cancel();
    await ended(rig);
    return [idOf(rig)];
  },

  'a fleet that was closed before any worker ran, opens by itself': {
    setting: { worker: false },
    async tell(rig) {
      const { agentRid } = rig.simulator;
      await closeAgent(rig.client, agentRid, { until: new Date(Date.now() + 6_000).toISOString() });
      const { stop } = await rig.startWorker();
      await until('it is open', async () => (await limitsOf(rig)).settings.closed === undefined);
      await handleOf(rig).terminate();
      await stop();
      return [idOf(rig)];
    },
  },

  'a fleet of two workers, of which one leaves and one dies, ends when it is idle': {
    setting: { worker: false, waits: { IDLE_WAIT: '3 seconds' } },
    async tell(rig) {
      const { stop } = await rig.startWorker({ identity: 'leaves' });
      await ask(rig);
      await workersAre(rig, 1);
      await stop();
      const dies = await startWorkerProcess(rig, 'dies');
      await ask(rig);
      await workersAre(rig, 1);
      await dies.kill();
      const last = await rig.startWorker({ identity: 'looks on' });
      await ended(rig);
      await last.stop();
      return [idOf(rig)];
    },
  },

  'a fleet that continues as new with its workers': {
    setting: { suggestContinueAsNewAt: 40 },
    async tell(rig) {
      const { agentRid } = rig.simulator;
      await ask(rig);
      const first = (await handleOf(rig).describe()).runId;
      for (let ceiling = 10; (await handleOf(rig).describe()).runId === first; ceiling++) {
        await setLimits(rig.client, agentRid, { maxConcurrency: ceiling });
      }
      await workersAre(rig, 1);
      await ask(rig);
      await setLimits(rig.client, agentRid, { maxConcurrency: 5 });
      await handleOf(rig).terminate();
      return [idOf(rig)];
    },
  },
};
