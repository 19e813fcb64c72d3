import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A row that stands in an output file already. */
export interface WrittenRow {
  id: string;
  index: number;
}

/** An output file that cannot be used: it cannot be opened, or is no output of a batch, or of another one. */
export class OutputFileError extends Error {
  override readonly name = 'OutputFileError';

  constructor(
    readonly path: string,
    problem: string,
    remedy = 'choose another file, or overwrite it (--overwrite)',
    options?: ErrorOptions,
  ) {
    super(`Cannot write to ${path}: ${problem}; ${remedy}`, options);
  }
}

/**
 * An output file of JSON lines that is only ever appended to.
 *
 * Opened again after a kill it goes on where it ended: a last line that was torn is cut off, and `written` tells which
 * rows it holds.
 */
export class OutputFile {
  readonly written: readonly WrittenRow[];
  readonly #file: FileHandle;

  private constructor(file: FileHandle, written: readonly WrittenRow[]) {
    this.#file = file;
    this.written = written;
  }

  /**
   * Opens or makes the file, and the folders it lies in.
   *
   * @param options.overwrite Begin afresh, whatever it holds.
   * @throws OutputFileError when it cannot be opened, or holds something else than output rows.
   */
  static async open(path: string, options: { overwrite: boolean }): Promise<OutputFile> {
    const file = await opened(path, options.overwrite ? 'w+' : 'a+');
    try {
      return new OutputFile(file, await mend(file, path));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Appends lines in one write. */
  async append(lines: readonly string[]): Promise<void> {
    if (lines.length > 0) await this.#file.appendFile(lines.map((line) => `${line}\n`).join(''));
  }

  /** Sees that what was written is on the disk, and closes. */
  async close(): Promise<void> {
    try {
      await this.#file.sync();
    } finally {
      await this.#file.close();
    }
  }
}

async function opened(path: string, flags: 'w+' | 'a+'): Promise<FileHandle> {
  try {
    await mkdir(dirname(path), { recursive: true });
    return await open(path, flags);
  } catch (error) {
    throw unusable(path, error);
  }
}

/** What is wrong with the path, in words; what is not known of it stays as it is. */
function unusable(path: string, error: unknown): unknown {
  const refused = (problem: string, remedy: string) => new OutputFileError(path, problem, remedy, { cause: error });
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EISDIR':
      return refused('it is a folder', `name a file in it, such as ${join(path, 'rows.jsonl')}`);
    case 'ENOTDIR':
    case 'EEXIST':
      return refused('a part of its path is a file, and no folder', 'name another path');
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return refused('that is not permitted', 'choose another place, or change its permissions');
    default:
      return error;
  }
}

/** Reads what is there; cuts off a torn last line, and ends a whole one that lacks its line feed. */
async function mend(file: FileHandle, path: string): Promise<WrittenRow[]> {
  const written: WrittenRow[] = [];
  let line = 0;
  let end = 0;
  for await (const { text, isEnded } of linesOf(file)) {
    line++;
    const row = writtenRow(text);
    if (row === undefined && !isEnded) {
      await file.truncate(end);
      return written;
    }
    end += Buffer.byteLength(text) + 1;
    if (text.trim() === '') continue;
    if (row === undefined) throw new OutputFileError(path, `line ${line} is no output row of a batch`);
    written.push(row);
    if (!isEnded) await file.appendFile('\n');
  }
  return written;
}

async function* linesOf(file: FileHandle): AsyncGenerator<{ text: string; isEnded: boolean }, void, void> {
  const chunk = Buffer.alloc(256 * 1024);
  let pieces: Buffer[] = [];
  let position = 0;
  for (;;) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    let start = 0;
    for (let end = indexOfNewline(chunk, start, bytesRead); end !== -1; end = indexOfNewline(chunk, start, bytesRead)) {
      pieces.push(Buffer.from(chunk.subarray(start, end)));
      yield { text: Buffer.concat(pieces).toString('utf8'), isEnded: true };
      pieces = [];
      start = end + 1;
    }
    pieces.push(Buffer.from(chunk.subarray(start, bytesRead)));
  }
  const rest = Buffer.concat(pieces);
  if (rest.length > 0) yield { text: rest.toString('utf8'), isEnded: false };
}

function indexOfNewline(chunk: Buffer, start: number, length: number): number {
  const at = chunk.indexOf(0x0a, start);
  return at >= length ? -1 : at;
}

function writtenRow(text: string): WrittenRow | undefined {
  try {
    const row = JSON.parse(text) as { id?: unknown; index?: unknown; status?: unknown } | null;
    if (typeof row?.id !== 'string' || typeof row.index !== 'number' || typeof row.status !== 'string')
      return undefined;
    return { id: row.id, index: row.index };
  } catch {
    return undefined;
  }
}
