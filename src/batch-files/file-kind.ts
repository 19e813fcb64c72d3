/** Beginnings (hex) of files that are no text in UTF-8, and what to do about them. */
const FOREIGN: readonly [beginning: RegExp, problem: string][] = [
  [/^(?:fffe|feff|00|..00)/, 'is UTF-16, or no text at all; save it as UTF-8'],
  [/^1f8b/, 'is compressed with gzip; unpack it first (gunzip)'],
  [/^28b52ffd/, 'is compressed with zstd; unpack it first (unzstd)'],
  [/^504b0304/, 'is a ZIP archive, as an Excel workbook is; save the sheet as CSV, or unpack the archive'],
  [/^50415231/, 'is a Parquet file; export it as JSONL or CSV'],
];

/** The file is no text of rows, as its first bytes tell. */
export class ForeignFileError extends Error {
  override readonly name = 'ForeignFileError';
}

/** Hands a file's bytes on. @throws ForeignFileError when they begin as those of a file of another kind do. */
export async function* checkedChunks(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let isFirst = true;
  for await (const chunk of chunks) {
    if (isFirst) {
      const beginning = chunk.subarray(0, 4).toString('hex');
      const problem = FOREIGN.find(([kind]) => kind.test(beginning))?.[1];
      if (problem !== undefined) throw new ForeignFileError(problem);
    }
    isFirst = false;
    yield chunk;
  }
}
