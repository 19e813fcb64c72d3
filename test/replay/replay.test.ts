/**
 * Replays recorded runs: a change of workflow code that would break conversations and batches in flight fails here.
 *
 * `AIP_RECORD_HISTORIES=1` records them first. Do so for new behaviour, and keep the old files as long as runs of their
 * version can be open.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { startRig } from '../support/rig.js';
import { workflowBundle } from '../support/temporal-server.js';
import { decodeHistory, readHistories, recordHistories } from './history-files.js';
import { recordedRuns } from './recorded-runs.js';

if (process.env['AIP_RECORD_HISTORIES'] === '1') {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const rig = await startRig();
  try {
    for (const [name, story] of Object.entries(recordedRuns)) {
      for (const workflowId of await story(rig)) await recordHistories(rig, name, version, workflowId);
    }
  } finally {
    await rig.close();
  }
}

const histories = readHistories();

const replay = async (history: ReturnType<typeof decodeHistory>, workflowId: string) =>
  Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history, workflowId);

describe('the workflows of today replay', () => {
  test.each(histories.map(({ name, workflowId, history }) => ({ name, workflowId, history })))(
    '$name',
    async ({ workflowId, history }) => {
      await replay(decodeHistory(history), workflowId);
    },
  );

  test('every story that is recorded', () => {
    for (const name of Object.keys(recordedRuns)) {
      expect(histories.filter((recorded) => recorded.name.startsWith(`${name}, `))).not.toEqual([]);
    }
  });

  test('nothing that they would not do', async () => {
    const [recorded] = histories.filter(({ name }) => name.startsWith('asked'));
    const altered = decodeHistory(recorded?.history ?? '');
    for (const { activityTaskScheduledEventAttributes: scheduled } of altered.events) {
      // As if an earlier version had called it otherwise.
      if (scheduled?.activityType?.name === 'createSession') scheduled.activityType.name = 'openSession';
    }
    await expect(replay(altered, recorded?.workflowId ?? '')).rejects.toThrow(DeterminismViolationError);
  });
});
