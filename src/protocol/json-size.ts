const encoder = new TextEncoder();

/** Bytes of a text in UTF-8. */
export const utf8Bytes = (text: string): number => encoder.encode(text).length;

/** Bytes of a value as JSON, which is how it travels in a payload. */
export const jsonBytes = (value: unknown): number => utf8Bytes(JSON.stringify(value));
