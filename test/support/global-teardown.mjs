export default async function globalTeardown() {
  await globalThis.aipTestEnvironment?.close();
}
