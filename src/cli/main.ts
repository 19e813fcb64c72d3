#!/usr/bin/env node
import { environment } from '../settings.js';
import type { CliIo } from './command.js';
import { keepHeapLean } from './lean-heap.js';
import { runCli } from './run-cli.js';

keepHeapLean();

const io: CliIo = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: environment(),
  onSignal(handler) {
    process.on('SIGINT', handler);
    process.on('SIGTERM', handler);
    return () => {
      process.off('SIGINT', handler);
      process.off('SIGTERM', handler);
    };
  },
};

// A reader that has gone (`… | head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const exitCode = await runCli(process.argv.slice(2), io);
// Stray timers of connections must not keep a finished command waiting; what was written must be out first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
