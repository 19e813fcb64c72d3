import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { Simulator } from '../src/simulator/index.js';
import type { Finding } from './audit.js';

/** Runs of a finding's workflow that are kept, the newest ones. */
const MOST_RUNS = 20;

/**
 * Writes what is to be read about each finding into a folder: the histories of its conversation or batch, and what the agent's
 * ledger tells of the sessions concerned.
 */
export async function keepEvidence(
  folder: string,
  findings: readonly Finding[],
  { client, simulator }: { client: Client; simulator: Simulator },
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, value: unknown) =>
    writeFileSync(join(folder, `${name.replace(/[^\w-]+/g, '_')}.json`), JSON.stringify(value, bytesAsText, 2));
  write('findings', findings);
  const { exchanges, running } = simulator.ledger();
  const all = [...exchanges, ...running];
  for (const { subject } of findings) {
    const sessions = new Set(all.filter(({ text }) => text.includes(subject)).map(({ sessionRid }) => sessionRid));
    write(
      `${subject} ledger`,
      all.filter(({ sessionRid }) => sessions.has(sessionRid)),
    );
    let kept = 0;
    for await (const { workflowId, runId } of client.workflow.list({
      query: `WorkflowId = '${workflowIdOf(subject)}'`,
    })) {
      if (++kept > MOST_RUNS) break;
      write(`${workflowId} ${runId}`, await client.workflow.getHandle(workflowId, runId).fetchHistory());
    }
  }
}

/** Of a message's marker, or of a row's batch. */
const workflowIdOf = (subject: string): string =>
  subject.startsWith('#a ')
    ? `automation/chaos-${/\d+/.exec(subject)?.[0] ?? ''}`
    : subject.startsWith('#m ')
      ? `chaos/${/\d+/.exec(subject)?.[0] ?? ''}`
      : subject.startsWith('chaos/') || subject.startsWith('automation/')
        ? subject
        : `batch/${subject.split(' ')[0]}`;

/** The payloads of a history come as base64. */
const bytesAsText = (key: string, value: unknown): unknown =>
  key === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : value;
