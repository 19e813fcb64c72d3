/** Plain JavaScript, since jest imports it by itself and knows nothing of our `.js` imports that mean `.ts`. */
import './register-typescript.mjs';

export default async function globalSetup() {
  const { serveTestEnvironment } = await import('./environment-service.ts');
  globalThis.aipTestEnvironment = await serveTestEnvironment();
}
