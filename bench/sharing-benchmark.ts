import type { Figure } from './figure.js';
import type { Installation } from './installation.js';
import { heartbeatFigures } from './sharing-heartbeats.js';
import { rateLimitFigures } from './sharing-rate-limit.js';
import { sharingRig } from './sharing-rig.js';
import { updateFigures } from './sharing-updates.js';

/** Ways in which several processes can share one limit of calls through Temporal alone: what each does, and costs. */
export async function sharingBenchmark(installation: Installation, say: (text: string) => void): Promise<Figure[]> {
  const rig = await sharingRig(installation);
  try {
    say('sharing, leases by updates ...');
    const figures = await updateFigures(rig);
    say('sharing, heartbeats of pending activities ...');
    figures.push(...(await heartbeatFigures(rig)));
    // Last, as the server is busy for some seconds after it. It knows nothing of calls at once.
    say('sharing, task queue rate limit ...');
    figures.push(...(await rateLimitFigures(rig)));
    return figures;
  } finally {
    await rig.stop();
  }
}
