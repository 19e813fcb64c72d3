import { describe, expect, test } from '@jest/globals';
import type { Worker } from '@temporalio/worker';
import { type Companions, type Runnable, runTogether } from '../../src/companions.js';

/** A worker that runs until it is told to end, or fails by itself. */
class FakeWorker implements Runnable {
  #state: ReturnType<Runnable['getState']> = 'INITIALIZED';
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined;

  getState = () => this.#state;

  run = () =>
    new Promise<void>((resolve, reject) => {
      this.#state = 'RUNNING';
      this.#settle = { resolve, reject };
    });

  shutdown = () => this.#end('STOPPED', ({ resolve }) => resolve());

  fail(message: string): void {
    this.#end('FAILED', ({ reject }) => reject(new Error(message)));
  }

  #end(state: 'STOPPED' | 'FAILED', how: (settle: { resolve: () => void; reject: (error: Error) => void }) => void) {
    this.#state = state;
    if (this.#settle !== undefined) how(this.#settle);
  }
}

function stage() {
  const [main, interactive, batch] = [new FakeWorker(), new FakeWorker(), new FakeWorker()];
  const told: string[] = [];
  const companions: Companions = {
    workers: [interactive, batch] as unknown as Worker[],
    tell: (state) => void told.push(state),
    besides: (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    close: () => {
      told.push(`closed: ${[main, interactive, batch].map((worker) => worker.getState()).join(', ')}`);
      return Promise.resolve();
    },
  };
  return { main, batch, told, together: runTogether(main, companions) };
}

describe('runTogether()', () => {
  test('ends all at a shutdown, and closes when the last has ended', async () => {
    const { told, together } = stage();
    together.shutdown();
    await together.ended;
    expect(told[0]).toBe('running');
    expect(told).toContain('draining');
    expect(told.at(-1)).toBe('closed: STOPPED, STOPPED, STOPPED');
  });

  test('ends the others when the worker for workflows ends by itself', async () => {
    const { main, told, together } = stage();
    main.shutdown();
    await together.ended;
    expect(told.at(-1)).toBe('closed: STOPPED, STOPPED, STOPPED');
  });

  test('ends all when one beside it fails, and fails by its reason', async () => {
    const { main, batch, told, together } = stage();
    batch.fail('the connection is gone');
    await expect(together.ended).rejects.toThrow('the connection is gone');
    expect(main.getState()).toBe('STOPPED');
    expect(told.at(-1)).toBe('closed: STOPPED, STOPPED, FAILED');
  });
});
