/**
 * Makes text of a streamed answer's bytes, in pieces as they come.
 *
 * One decoder for the whole stream, because chunk borders fall anywhere, also inside a character: a piece never ends in
 * half a character. Bytes that are no UTF-8 become U+FFFD; a byte order mark at the start is dropped. Empty pieces are
 * not yielded.
 */
export async function* decodeTextStream(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder('utf-8');
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    if (text !== '') yield text;
  }
  const rest = decoder.decode();
  if (rest !== '') yield rest;
}
