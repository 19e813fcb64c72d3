/**
 * The yardstick: what a plain script does for the same work. Each question is asked in a session of its own with the same
 * calls, by `fetch` and a pool, without retries, without anything written down.
 *
 * Run as `node plain-script.js JOB` with a `ScriptJob` as JSON; prints a `ScriptResult` as one line of JSON.
 */
import { randomUUID } from 'node:crypto';
import type { ExchangeMode } from '../src/protocol/exchange.js';
import { questionText } from './questions.js';

/** What a plain script is to do. */
export interface ScriptJob {
  url: string;
  token: string;
  agentRid: string;
  mode: ExchangeMode;
  /** Questions that are measured, and those before them that warm the process up. */
  questions: number;
  warmUp: number;
  concurrency: number;
  /** Questions per session, one after the other. */
  perSession: number;
}

/** What it took. */
export interface ScriptResult {
  wallMs: number;
  cpuMs: number;
  /** Of each exchange: its id, and the time from sending it to having its stored result. */
  exchanges: { messageId: string; wallMs: number }[];
}

type Send = (path: string, init?: { method?: string; body?: unknown }) => Promise<Response>;

async function runScript(job: ScriptJob): Promise<ScriptResult> {
  const send = sender(job);
  await askAll(job, send, job.warmUp);
  const [startedMs, cpu] = [performance.now(), process.cpuUsage()];
  const exchanges = await askAll(job, send, job.questions);
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs: performance.now() - startedMs, cpuMs: (user + system) / 1000, exchanges };
}

function sender({ url, token, agentRid }: ScriptJob): Send {
  const base = `${url}/api/v2/aipAgents/agents/${agentRid}/sessions`;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return async (path, { method = 'POST', body } = {}) => {
    const query = `${path.includes('?') ? '&' : '?'}preview=true`;
    const response = await fetch(`${base}${path}${query}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  };
}

async function askAll(job: ScriptJob, send: Send, questions: number): Promise<ScriptResult['exchanges']> {
  const exchanges: ScriptResult['exchanges'] = [];
  let next = 0;
  const work = async () => {
    while (next < questions) {
      const first = next;
      next += job.perSession;
      const { rid } = (await (await send('', { body: {} })).json()) as { rid: string };
      for (let index = first; index < Math.min(first + job.perSession, questions); index++) {
        const startedMs = performance.now();
        const messageId = randomUUID();
        await ask(job, send, rid, messageId, questionText(index));
        exchanges.push({ messageId, wallMs: performance.now() - startedMs });
      }
    }
  };
  await Promise.all(Array.from({ length: job.concurrency }, work));
  return exchanges;
}

async function ask(
  { mode }: ScriptJob,
  send: Send,
  sessionRid: string,
  messageId: string,
  text: string,
): Promise<void> {
  const shared = { userInput: { text }, parameterInputs: {} };
  if (mode === 'blocking') {
    await (await send(`/${sessionRid}/blockingContinue`, { body: shared })).json();
    return;
  }
  await (await send(`/${sessionRid}/streamingContinue`, { body: { ...shared, messageId } })).text();
  // A stream carries text alone: tokens and parameter updates stand in the content.
  const content = (await (await send(`/${sessionRid}/content`, { method: 'GET' })).json()) as { exchanges: unknown[] };
  if (content.exchanges.length === 0) throw new Error('The content does not hold the exchange');
}

const job = JSON.parse(process.argv[2] ?? '') as ScriptJob;
process.stdout.write(`${JSON.stringify(await runScript(job))}\n`);
