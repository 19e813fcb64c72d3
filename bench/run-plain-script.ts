import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Installation } from './installation.js';
import type { ScriptJob, ScriptResult } from './plain-script.js';

const script = fileURLToPath(new URL('./plain-script.js', import.meta.url));

/** Runs the plain script against the installation's simulator, in a process of its own. @throws Error with its last words. */
export async function runPlainScript(
  { simulator, agentRid }: Installation,
  job: Pick<ScriptJob, 'mode' | 'questions' | 'concurrency'> & Partial<ScriptJob>,
): Promise<ScriptResult> {
  const { url, token } = simulator;
  const whole: ScriptJob = { warmUp: 0, perSession: 1, ...job, url, token, agentRid };
  const args = [script, JSON.stringify(whole)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout) as ScriptResult;
}
