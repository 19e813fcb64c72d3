import type { TestEnvironment } from './environment-service.js';

/** The variable that tells test files where jest's global setup serves what they share. */
export const SERVICE_VARIABLE = 'AIP_TEST_ENVIRONMENT';

/**
 * The Temporal server that all test files of a jest run share, with the project's search attributes; started by the first to ask.
 *
 * Keep to task queues and workflow ids of your own: other files use it at the same time.
 */
export function temporalServer(): Promise<TestEnvironment['/temporal-server']> {
  return ask('/temporal-server');
}

/** The bundle of `src/workflows/index.ts`, made from the sources once a jest run; goes into `workflowBundle` of a worker. */
export function workflowBundle(): Promise<TestEnvironment['/workflow-bundle']> {
  return ask('/workflow-bundle');
}

async function ask<Path extends keyof TestEnvironment>(path: Path): Promise<TestEnvironment[Path]> {
  const base = process.env[SERVICE_VARIABLE];
  if (base === undefined) throw new Error('No test environment: run this test by jest, whose global setup serves it.');
  const response = await fetch(base + path);
  const text = await response.text();
  if (!response.ok) throw new Error(`The test environment could not make ${path}: ${text}`);
  return JSON.parse(text) as TestEnvironment[Path];
}
