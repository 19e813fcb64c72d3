import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Figure, isMet } from './figure.js';

const folder = fileURLToPath(new URL('../../bench/results', import.meta.url));

/** What the figures depend on beside the code; nothing by which the machine could be recognised. */
export function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    loadAverage: loadavg().map((load) => Math.round(load * 100) / 100),
  };
}

/** Whether the machine is busy with other things before anything was started; half a busy core is no matter. */
export function isBusy({ loadAverage }: ReturnType<typeof machine>): boolean {
  return (loadAverage[0] ?? 0) > 0.5;
}

/** Writes the figures as JSON, with the machine and the time. @returns The file's path. */
export function writeResults(
  command: string,
  start: { at: Date; machine: ReturnType<typeof machine> },
  figures: readonly Figure[],
): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${start.at.toISOString().replace(/[:.]/g, '-')}-${command}.json`);
  const marked = figures.map((figure) => ({ ...figure, met: isMet(figure) }));
  const result = {
    command,
    startedAt: start.at.toISOString(),
    machine: start.machine,
    loadAverageAtEnd: machine().loadAverage,
    figures: marked,
  };
  writeFileSync(path, `${JSON.stringify(result, undefined, 2)}\n`);
  return path;
}
