import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import protobuf from '@temporalio/proto';
import type { Rig } from '../support/rig.js';

const { History } = protobuf.temporal.api.history.v1;

const folder = new URL('./histories/', import.meta.url);

/** A recorded run: which workflow code it was, and what happened. */
export interface RecordedHistory {
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

/** Waits for the workflow's end and writes the history of each of its runs into a file. */
export async function recordHistories(rig: Rig, name: string, version: string, workflowId: string): Promise<void> {
  const { workflow } = rig.client.client;
  // How it ended is a part of the story.
  await workflow
    .getHandle(workflowId)
    .result()
    .catch(() => undefined);
  const last = await workflow.getHandle(workflowId).fetchHistory();
  let runId = last.events?.[0]?.workflowExecutionStartedEventAttributes?.firstExecutionRunId;
  for (let run = 1; runId; run++) {
    const { events } = await workflow.getHandle(workflowId, runId).fetchHistory();
    const type = events?.[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name;
    const title = `${name}, ${type} ${run}, ${version}`;
    const file = `${title.replaceAll(/[^\w.]+/g, '-')}.json`;
    scrub(events);
    const history = Buffer.from(History.encode({ events: events ?? [] }).finish()).toString('base64');
    writeFileSync(new URL(file, folder), `${JSON.stringify({ name: title, workflowId, history }, null, 1)}\n`);
    runId = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
}

/** Where it was recorded is nobody's business, and replay does not look at it. */
function scrub(value: unknown): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'identity' || key === 'stackTrace') Object.assign(value, { [key]: '' });
    else scrub(inner);
  }
}
