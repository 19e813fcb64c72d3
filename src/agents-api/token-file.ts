import { readFile, stat } from 'node:fs/promises';
import { TokenError } from './errors.js';
import { type TokenSource, checkToken, waitUnlessAborted } from './token.js';

/** Options of `tokenFile`. */
export interface TokenFileOptions {
  /** How long the file is taken as unchanged without looking, in milliseconds. Default 1,000. */
  checkIntervalMs?: number;
  /** Clock in milliseconds. */
  now?: () => number;
}

/**
 * A token from a file that something else keeps fresh, such as a mounted secret. The file is read again when its
 * modification time, size or inode changes, looked at once per `checkIntervalMs`, and on every refresh.
 */
export function tokenFile(path: string, options: TokenFileOptions = {}): TokenSource {
  const { checkIntervalMs = 1_000, now = Date.now } = options;
  let current: { token: string; version: string } | undefined;
  let checkedAtMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<string> | undefined;

  async function read(isForced: boolean): Promise<string> {
    const version = await describeVersion(path);
    if (isForced || current?.version !== version) current = { token: await readToken(path), version };
    checkedAtMs = now();
    return current.token;
  }

  function readShared(isForced: boolean): Promise<string> {
    reading ??= read(isForced).finally(() => {
      reading = undefined;
    });
    return reading;
  }

  return {
    async get(signal) {
      if (current !== undefined && now() - checkedAtMs < checkIntervalMs) return current.token;
      return await waitUnlessAborted(readShared(false), signal);
    },
    async refresh(_previous, signal) {
      return await waitUnlessAborted(readShared(true), signal);
    },
  };
}

async function describeVersion(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs}/${size}/${ino}`;
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function readToken(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw unreadable(path, error);
  }
  return checkToken(text, `file ${path}`);
}

function unreadable(path: string, error: unknown): TokenError {
  const code = (error as NodeJS.ErrnoException).code ?? 'UNKNOWN';
  const remedy = code === 'ENOENT' ? 'it is not there; write a Foundry token into it' : 'make it readable';
  return new TokenError(`Cannot read the token file ${path} (${code}): ${remedy}`, false, { cause: error });
}
