import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';

const turnedBytes = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 1);

/** What a text looks like where it is stored. */
export const veiled = (text: string): string =>
  Buffer.from(turnedBytes(new TextEncoder().encode(text))).toString('latin1');

const turned = (payloads: Payload[]): Payload[] =>
  payloads.map(({ metadata, data }) => ({ metadata: metadata ?? null, data: data == null ? null : turnedBytes(data) }));

const codec: PayloadCodec = {
  encode: (payloads) => Promise.resolve(turned(payloads)),
  decode: (payloads) => Promise.resolve(turned(payloads)),
};

/** Stands for one that encrypts: what is stored can be told from what was said, by a look at its bytes. */
export const veilingConverter: DataConverter = { payloadCodecs: [codec] };
