import type { BatchRow, RowOutcome } from '../protocol/batch.js';
import { OutputFile, OutputFileError } from './output-file.js';
import { outputRow } from './output-row.js';

/** Where the rows of a batch are written. */
export interface BatchOutputOptions {
  /** File of the rows that succeeded; `-`: standard output. */
  out: string;
  /** File of the others, which is input again; `-`: standard output. Default: they go where `out` says. */
  errors?: string;
  /** Begin afresh, whatever the files hold. Default false: go on where they end. */
  overwrite?: boolean;
  /** Where `-` writes to. */
  stdout?: NodeJS.WritableStream;
}

interface Target {
  written: readonly { id: string; index: number }[];
  append(lines: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** The output of a batch: each row is written once, also over several runs of the same batch into the same files. */
export class BatchOutput {
  /** Ids by index of the rows that the files hold. */
  readonly #written = new Map<number, string>();

  private constructor(
    private readonly out: { path: string; target: Target },
    private readonly errors: { path: string; target: Target },
  ) {
    for (const { path, target } of new Set([out, errors])) {
      for (const { id, index } of target.written) {
        if (this.#written.has(index)) throw new OutputFileError(path, `it holds row ${index} (id ${id}) twice`);
        this.#written.set(index, id);
      }
    }
  }

  /**
   * Opens the files; what they hold of an earlier run stays, and a torn last line is cut off.
   *
   * @throws OutputFileError when a file cannot be opened, or holds something else than output rows, or a row twice.
   */
  static async open(options: BatchOutputOptions): Promise<BatchOutput> {
    const { out, errors = out, overwrite = false, stdout = process.stdout } = options;
    const opened: { path: string; target: Target }[] = [];
    const openTarget = async (path: string) => {
      const target = path === '-' ? new StreamTarget(stdout) : await OutputFile.open(path, { overwrite });
      opened.push({ path, target });
      return { path, target };
    };
    try {
      const outTarget = await openTarget(out);
      return new BatchOutput(outTarget, errors === out ? outTarget : await openTarget(errors));
    } catch (error) {
      await Promise.allSettled(opened.map(({ target }) => target.close()));
      throw error;
    }
  }

  /** Rows that the files hold. */
  get rowCount(): number {
    return this.#written.size;
  }

  /**
   * Sees that the files hold nothing but rows of this input: whoever names the output of another batch by mistake shall
   * hear of it before anything is started.
   *
   * @throws OutputFileError
   */
  async checkBelongsTo(rows: Iterable<BatchRow> | AsyncIterable<BatchRow>): Promise<void> {
    if (this.#written.size === 0) return;
    const foreign = new Map(this.#written);
    let index = 0;
    for await (const row of rows) {
      if (foreign.get(index) === row.id) foreign.delete(index);
      index++;
    }
    for (const [at, id] of foreign) throw this.#foreignRow(at, id);
  }

  /** Writes outcomes, each as one line; those that are written already are passed over. Not to be called twice at once. */
  async write(outcomes: readonly RowOutcome[]): Promise<void> {
    const lines = new Map<Target, string[]>();
    for (const outcome of outcomes) {
      const { id, index, status } = outcome.result;
      const earlier = this.#written.get(index);
      if (earlier === id) continue;
      if (earlier !== undefined) throw this.#foreignRow(index, earlier);
      this.#written.set(index, id);
      const { target } = status === 'succeeded' ? this.out : this.errors;
      const of = lines.get(target) ?? [];
      of.push(JSON.stringify(outputRow(outcome)));
      lines.set(target, of);
    }
    for (const [target, some] of lines) await target.append(some);
  }

  /** Sees that everything is on the disk, and closes the files. */
  async close(): Promise<void> {
    const targets = [...new Set([this.out.target, this.errors.target])];
    await Promise.all(targets.map((target) => target.close()));
  }

  #foreignRow(index: number, id: string): OutputFileError {
    const holder = [this.out, this.errors].find(({ target }) => target.written.some((row) => row.index === index));
    return new OutputFileError(
      holder?.path ?? this.out.path,
      `it holds row ${index} (id ${id}), which is not of this batch`,
    );
  }
}

class StreamTarget implements Target {
  readonly written = [];

  constructor(private readonly stream: NodeJS.WritableStream) {}

  append(lines: readonly string[]): Promise<void> {
    const text = lines.map((line) => `${line}\n`).join('');
    return new Promise((resolve, reject) =>
      this.stream.write(text, (error) => {
        if (error == null) resolve();
        else reject(error);
      }),
    );
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
