import { type ChildProcess, spawn } from 'node:child_process';
import { createReadStream, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { BatchRow } from '../src/protocol/batch.js';
import { cli, type Installation } from './installation.js';

/** A batch by the command line: its input and its output. */
export interface CliBatch {
  id: string;
  input: string;
  output: string;
  concurrency: number;
}

/** Writes the input into a folder. */
export function newCliBatch(folder: string, id: string, rows: readonly BatchRow[], concurrency: number): CliBatch {
  const input = join(folder, `${id}.jsonl`);
  writeFileSync(input, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return { id, input, output: join(folder, `${id}-answers.jsonl`), concurrency };
}

/** Starts `aip-temporal batch run`. What it says on its standard error is kept back, until it fails. */
export function startCli(installation: Installation, batch: CliBatch): { child: ChildProcess; ended: Promise<string> } {
  const { id, input, output, concurrency } = batch;
  const args = ['batch', 'run', input, '--id', id, '--out', output, '--concurrency', String(concurrency)];
  const child = spawn(process.execPath, [cli, ...args], {
    env: installation.clientEnv,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2_000)));
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.off('exit', killAtExit);
      if (code === 0 || signal === 'SIGKILL') resolve(signal ?? 'done');
      else reject(new Error(`batch run ended with ${signal ?? code}: ${said}`));
    });
  });
  return { child, ended };
}

/** Number of whole lines that the output holds by now. */
export async function linesWritten({ output }: CliBatch): Promise<number> {
  if (!existsSync(output)) return 0;
  let lines = 0;
  for await (const chunk of createReadStream(output)) {
    for (const byte of chunk as Buffer) if (byte === 0x0a) lines++;
  }
  return lines;
}

/** Compares the output with the input, by ids. */
export async function checkOutput(
  { output }: CliBatch,
  rows: readonly BatchRow[],
): Promise<{ twice: number; missing: number; notAnswered: number }> {
  const missing = new Set(rows.map(({ id }) => id));
  let [twice, notAnswered] = [0, 0];
  for await (const line of createInterface({ input: createReadStream(output) })) {
    const { id, status } = JSON.parse(line) as { id: string; status: string };
    if (!missing.delete(id)) twice++;
    if (status !== 'succeeded') notAnswered++;
  }
  return { twice, missing: missing.size, notAnswered };
}
