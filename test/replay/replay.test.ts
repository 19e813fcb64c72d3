/**
 * Replays recorded runs: a change of workflow code that would break conversations and batches in flight fails here
 * (docs/changing-workflows.md).
 *
 * `AIP_RECORD_HISTORIES=1` first records the stories that have no files of this version yet, and leaves all files that are there
 * as they are.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { DeterminismViolationError } from '@temporalio/workflow';
import { bundleWorkflowCode, DefaultLogger, Worker, type InjectedSinks } from '@temporalio/worker';
import { WORKFLOW_TYPES } from '../../src/protocol/workflow-names.js';
import { workflowsEntry } from '../support/bundle-workflows.js';
import { quietRuntime } from '../support/worker-of.js';
import { decodeHistory, partsOf, readHistories, recordHistories } from './history-files.js';
import { oddPaths } from './odd-paths.js';
import { recordedRuns } from './recorded-runs.js';
import { startRecordingRig } from './recording-rig.js';
import type { ActivitySinks } from './scheduled-activities.js';

quietRuntime();

if (process.env['AIP_RECORD_HISTORIES'] === '1') await recordMissing();

async function recordMissing(): Promise<void> {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const parts = readHistories().map(partsOf);
  for (const [name, story] of Object.entries(recordedRuns)) {
    if (parts.some((recorded) => recorded.story === name && recorded.version === version)) continue;
    process.stderr.write(`Recording: ${name}\n`);
    const { setting, tell } = typeof story === 'function' ? { setting: {}, tell: story } : story;
    const rig = await startRecordingRig(setting);
    try {
      await recordHistories(rig.client.client.workflow, name, version, await tell(rig));
    } finally {
      await rig.close();
    }
  }
}

const histories = readHistories().map((recorded) => ({ ...recorded, ...partsOf(recorded) }));

type History = ReturnType<typeof decodeHistory>;

let code: string;
beforeAll(async () => {
  const interceptors = fileURLToPath(new URL('./scheduled-activities.ts', import.meta.url));
  ({ code } = await bundleWorkflowCode({
    workflowsPath: workflowsEntry,
    workflowInterceptorModules: [interceptors],
    webpackConfigHook: (config) => ({
      ...config,
      resolve: { ...config.resolve, extensionAlias: { '.js': ['.ts', '.js'] } },
    }),
    logger: new DefaultLogger('ERROR'),
  }));
});

/** Replays a history; resolves with the activities that the code of today, or another, scheduled. */
async function replay(history: History, workflowId: string, workflows = code): Promise<ScheduledActivity[]> {
  const scheduled: ScheduledActivity[] = [];
  const fn = (_info: unknown, type: string, input: unknown) => void scheduled.push(scheduledActivity(type, input));
  const sinks: InjectedSinks<ActivitySinks> = { activities: { scheduled: { fn, callDuringReplay: true } } };
  await Worker.runReplayHistory({ workflowBundle: { code: workflows }, sinks }, history, workflowId);
  return scheduled;
}

/** The activities that a history tells of. */
function recordedActivities({ events }: History): ScheduledActivity[] {
  return events.flatMap(({ activityTaskScheduledEventAttributes: activity }) => {
    const data = activity?.input?.payloads?.[0]?.data;
    if (data == null) return [];
    return [scheduledActivity(activity?.activityType?.name ?? '', JSON.parse(Buffer.from(data).toString('utf8')))];
  });
}

/** An activity, with what names the exchanges that it is about. */
interface ScheduledActivity {
  type: string;
  ids: Record<string, unknown>;
}

function scheduledActivity(type: string, input: unknown): ScheduledActivity {
  const { messageId, ids, idBase, sessionRid } = (input ?? {}) as Record<string, unknown>;
  return { type, ids: { messageId, ids, idBase, sessionRid } };
}

describe('the workflows of today', () => {
  /**
   * By itself, replay compares activities by type and id, not by what they are given. Other ids than before, of one `uuid4()`
   * more, would pass it, and the clean-up of an exchange that runs over a deploy would look for one that never was.
   */
  test.each(histories)('replay $name', async ({ workflowId, history }) => {
    const decoded = decodeHistory(history);
    const recorded = recordedActivities(decoded);
    expect((await replay(decoded, workflowId)).slice(0, recorded.length)).toEqual(recorded);
  });

  test.each([
    [WORKFLOW_TYPES.conversation, 'calls an activity otherwise', '.createSession(', '.openSession('],
    [WORKFLOW_TYPES.batch, 'starts a timer less', 'void askForSignsOfLife(batch);', ''],
    [WORKFLOW_TYPES.batchShard, 'sends a signal less', 'await tellBatch(input, rows);', ''],
    [WORKFLOW_TYPES.automation, 'calls an activity otherwise', '.notifyApproval(', '.tellApproval('],
    [WORKFLOW_TYPES.governor, 'calls an activity otherwise', '.holdShare(', '.keepShare('],
  ])('are told from others: a %s that %s', async (type, _change, text, other) => {
    const parts = code.split(text);
    expect(parts).toHaveLength(2);
    const [recorded] = histories.filter((one) => one.type === type);
    const replaying = replay(decodeHistory(recorded?.history ?? ''), recorded?.workflowId ?? '', parts.join(other));
    await expect(replaying).rejects.toThrow(DeterminismViolationError);
  });
});

/** The example of docs/changing-workflows.md: closing upserts a search attribute. */
describe('a change of what is done', () => {
  const handler = 'closeSignal, ()=>{';
  const changed = (change: string) => {
    expect(code).toContain(handler);
    // As the bundler names what is imported from Temporal.
    return code.replace(handler, `${handler} const api = _temporalio_workflow__WEBPACK_IMPORTED_MODULE_0__; ${change}`);
  };
  const upsert = "api.upsertSearchAttributes({ AipState: ['closing'] });";
  const closed = histories.find(({ story }) => story.startsWith('asked'));
  const replayClosed = (workflows: string) =>
    replay(decodeHistory(closed?.history ?? ''), closed?.workflowId ?? '', workflows);

  test('breaks runs from before it', async () => {
    await expect(replayClosed(changed(upsert))).rejects.toThrow(DeterminismViolationError);
  });

  test('breaks none behind patched()', async () => {
    await replayClosed(changed(`if (api.patched('closing-is-told')) ${upsert}`));
  });
});

describe('the recorded runs', () => {
  test('tell every story', () => {
    const told = histories.map(({ story }) => story);
    expect(Object.keys(recordedRuns).filter((story) => !told.includes(story))).toEqual([]);
  });

  test('are of every type of workflow', () => {
    expect(new Set(histories.map(({ type }) => type))).toEqual(new Set(Object.values(WORKFLOW_TYPES)));
    expect(Object.keys(oddPaths).sort()).toEqual(Object.values(WORKFLOW_TYPES).sort());
  });

  const paths = Object.entries(oddPaths).flatMap(([type, ofType]) =>
    Object.entries(ofType).map(([path, isTaken]) => ({ type, path, isTaken })),
  );
  test.each(paths)('have a $type that $path', ({ type, isTaken }) => {
    const taking = histories.filter(
      (recorded) => recorded.type === type && isTaken(decodeHistory(recorded.history).events),
    );
    expect(taking.map(({ name }) => name)).not.toEqual([]);
  });
});
