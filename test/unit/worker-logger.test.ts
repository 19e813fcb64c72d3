import { describe, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import type { LogLevel, LogMetadata } from '@temporalio/worker';
import { workerLogger } from '../../src/cli/worker-logger.js';

/** What is written of one entry. */
function written(message: string, meta: LogMetadata, level: LogLevel = 'WARN'): unknown[] {
  const lines: unknown[] = [];
  workerLogger(level, { log: (...line) => lines.push(line) }).warn(message, meta);
  return lines;
}

/** An error of a workflow, as it comes from the thread of workflows. */
const fromWorkflow = (error: Error): Error => {
  const { message, stack = '', cause } = error;
  return Object.assign(new Error(message, { cause }), { stack });
};

describe('workerLogger()', () => {
  const meta = { workflowId: 'automation/n', workflowType: 'automationWorkflow', runId: 'r' };
  const rejected = ApplicationFailure.nonRetryable('Step steps[0] (go) failed: Rejected by ann:\ntoo long', 'Rejected');

  test('tells a workflow that failed by its own rule in one line, without its stack', () => {
    expect(written('Workflow failed', { ...meta, error: fromWorkflow(rejected) })).toEqual([
      ['WARN', 'Workflow automation/n failed: Step steps[0] (go) failed: Rejected by ann: too long', undefined],
    ]);
  });

  test.each([
    ['another error', new TypeError('x is undefined')],
    ['a failure with a cause', ApplicationFailure.create({ message: 'x', cause: new Error('y') })],
  ])('leaves %s of a workflow as it is', (_, thrown) => {
    const error = fromWorkflow(thrown);
    expect(written('Workflow failed', { ...meta, error })).toEqual([['WARN', 'Workflow failed', { ...meta, error }]]);
  });

  test('leaves other messages, and all of them where details are wanted', () => {
    const error = fromWorkflow(rejected);
    expect(written('Slow', { error })).toEqual([['WARN', 'Slow', { error }]]);
    expect(written('Workflow failed', { error }, 'DEBUG')).toEqual([['WARN', 'Workflow failed', { error }]]);
  });

  test('tells a call that the agent refused with its name and words', () => {
    const entry = { workflowId: 'w', activityType: 'createSession', activityId: '1', attempt: 2, taskToken: 't' };
    const { taskToken: _, ...known } = entry;
    expect(written('Activity failed', { ...entry, error: rejected })).toEqual([
      ['WARN', 'Activity failed', { ...known, error: `Rejected: ${rejected.message}` }],
    ]);
  });

  test('leaves out that a worker polls for one kind of task alone', () => {
    expect(written('No activities registered, not polling for activity tasks', {})).toEqual([]);
  });
});
