import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeTextStream } from '../../src/agents-api/text-stream.js';

async function* inChunks(chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    await Promise.resolve();
    yield chunk;
  }
}

async function piecesOf(chunks: Uint8Array[]): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of decodeTextStream(inChunks(chunks))) pieces.push(piece);
  return pieces;
}

function cutAt(bytes: Uint8Array, places: number[]): Uint8Array[] {
  const borders = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return borders.slice(1).map((border, index) => bytes.slice(borders[index], border));
}

test('decodeTextStream() gives the same text however the bytes are cut', async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(text, fc.array(fc.nat(500), { maxLength: 40 }), async (expected, places) => {
      const pieces = await piecesOf(cutAt(new TextEncoder().encode(expected), places));
      expect(pieces.join('')).toBe(expected);
      expect(pieces.every((piece) => piece !== '' && !/\p{Surrogate}/u.test(piece))).toBe(true);
    }),
  );
});

test('decodeTextStream() waits for the rest of a character before it yields it', async () => {
  const [a, b, c, d] = new TextEncoder().encode('🚀');
  const bytes = [a, b, c, d].map((byte) => Uint8Array.of(byte ?? 0));
  await expect(piecesOf(bytes)).resolves.toEqual(['🚀']);
});

test('decodeTextStream() shows a character that was cut off for good, and bytes that are none', async () => {
  await expect(piecesOf([Uint8Array.of(0x61, 0xf0, 0x9f)])).resolves.toEqual(['a', '\ufffd']);
  await expect(piecesOf([Uint8Array.of(0xff, 0x61)])).resolves.toEqual(['\ufffda']);
});

test('decodeTextStream() of nothing yields nothing', async () => {
  await expect(piecesOf([])).resolves.toEqual([]);
});
