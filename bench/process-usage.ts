import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Resident memory of a process in MiB: now, and the most it ever had. */
export interface MemoryUse {
  nowMiB: number;
  peakMiB: number;
}

let ticksPerSecond: number | undefined;

/**
 * CPU time that a process, with all its threads, has used, in milliseconds (a tick of the kernel is 10 ms as a rule).
 *
 * @throws Error where there is no `/proc` (only Linux has it), or no such process.
 */
export function cpuMs(pid: number): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The program's name, in brackets, may hold blanks: fields are counted from behind it. utime and stime are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}

/** Resident memory of a process. @throws Error as `cpuMs`. */
export function memoryUse(pid: number): MemoryUse {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return { nowMiB: mebibytes(status, 'VmRSS'), peakMiB: mebibytes(status, 'VmHWM') };
}

function mebibytes(status: string, field: string): number {
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1];
  if (kibibytes === undefined) throw new Error(`Cannot find ${field} in the status of a process`);
  return Number(kibibytes) / 1024;
}

/** CPU milliseconds of several processes since `start`, by name. */
export class CpuClock<Name extends string> {
  readonly #startedMs: Record<Name, number>;

  constructor(private readonly pids: Readonly<Record<Name, number>>) {
    this.#startedMs = this.#read();
  }

  elapsedMs(): Record<Name, number> {
    const now = this.#read();
    const names = Object.keys(this.pids) as Name[];
    return Object.fromEntries(names.map((name) => [name, now[name] - this.#startedMs[name]])) as Record<Name, number>;
  }

  #read(): Record<Name, number> {
    const entries = Object.entries<number>(this.pids).map(([name, pid]) => [name, cpuMs(pid)]);
    return Object.fromEntries(entries) as Record<Name, number>;
  }
}
