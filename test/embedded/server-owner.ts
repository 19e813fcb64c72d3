/** A program for `outliving.test.ts`: runs a server on the data directory given, prints one line when it serves, and stays. */
import { startTemporalServer } from '../../src/embedded/index.js';

const { pid, port } = await startTemporalServer({ dataDir: process.argv[2] });
process.stdout.write(`${JSON.stringify({ pid, port })}\n`);
