import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { WorkflowClient } from '@temporalio/client';
import protobuf from '@temporalio/proto';

const { History } = protobuf.temporal.api.history.v1;

const folder = new URL('./histories/', import.meta.url);

/** A recorded run: which workflow code it was, and what happened. */
export interface RecordedHistory {
  /** `<story>, <workflow type> <which of the story's runs of this type>, <version>`. */
  name: string;
  workflowId: string;
  /** Temporal's `History` message, base64. */
  history: string;
}

/** The history of a recorded run as Temporal's replayer takes it. */
export const decodeHistory = (history: string) => History.decode(Buffer.from(history, 'base64'));

/** All recorded runs. */
export function readHistories(): RecordedHistory[] {
  return readdirSync(folder)
    .sort()
    .map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as RecordedHistory);
}

/** What a recorded run is told by, and in which version; a story's name may hold commas. */
export function partsOf({ name }: RecordedHistory): { story: string; type: string; version: string } {
  const [, story, type, version] = /^(.*), (\w+) \d+, ([^,\s]+)$/.exec(name) ?? [];
  if (story === undefined || type === undefined || version === undefined) {
    throw new Error(`Not the name of a recorded history: ${name}`);
  }
  return { story, type, version };
}

/** Waits for the end of the workflows that tell a story, and writes the history of each of their runs into a file. */
export async function recordHistories(
  workflow: WorkflowClient,
  story: string,
  version: string,
  workflowIds: readonly string[],
): Promise<void> {
  const numbers = new Map<string, number>();
  const recorded: RecordedHistory[] = [];
  for (const workflowId of workflowIds) {
    for (const events of await runsOf(workflow, workflowId)) {
      const type = events[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name ?? '';
      const number = (numbers.get(type) ?? 0) + 1;
      numbers.set(type, number);
      scrub(events);
      const history = Buffer.from(History.encode({ events }).finish()).toString('base64');
      recorded.push({ name: `${story}, ${type} ${number}, ${version}`, workflowId, history });
    }
  }
  // When all is there: half a story would count as recorded.
  for (const one of recorded) {
    const file = new URL(`${one.name.replaceAll(/[^\w.]+/g, '-')}.json`, folder);
    writeFileSync(file, `${JSON.stringify(one, null, 1)}\n`, { flag: 'wx' });
  }
}

/** The events of each run of a workflow, the first run first, when the last one has ended. */
async function runsOf(workflow: WorkflowClient, workflowId: string) {
  // How it ended is a part of the story.
  await workflow
    .getHandle(workflowId)
    .result()
    .catch(() => undefined);
  const last = await workflow.getHandle(workflowId).fetchHistory();
  let runId = last.events?.[0]?.workflowExecutionStartedEventAttributes?.firstExecutionRunId;
  const runs = [];
  while (runId) {
    const { events } = await workflow.getHandle(workflowId, runId).fetchHistory();
    runs.push(events ?? []);
    runId = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
  return runs;
}

/** Where it was recorded is nobody's business, and replay does not look at it. */
function scrub(value: unknown): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'identity' || key === 'stackTrace') Object.assign(value, { [key]: '' });
    else scrub(inner);
  }
}
