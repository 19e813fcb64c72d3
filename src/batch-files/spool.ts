import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/**
 * Writes a stream that can be read only once, such as standard input, to a temporary file: a batch reads its input twice,
 * so that nothing is started before all of it was checked.
 *
 * @throws When the signal is aborted: `AbortError`, its reason as cause.
 * @returns The file's path (readable by this user only), and what removes it.
 */
export async function spoolToFile(
  stream: NodeJS.ReadableStream,
  signal?: AbortSignal,
): Promise<{ path: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'aip-temporal-'));
  const path = join(folder, 'batch-input');
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await pipeline(stream, createWriteStream(path, { mode: 0o600 }), { ...(signal !== undefined && { signal }) });
  } catch (error) {
    await remove();
    throw error;
  }
  return { path, remove };
}
