/**
 * Lets plain Node run this project's TypeScript sources: `node --import ./test/support/register-typescript.mjs src/cli/main.ts`.
 *
 * For jest's global setup and for programs that a test starts as processes of their own: they need no build, and so
 * never run a stale one.
 */
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
