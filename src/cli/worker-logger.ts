import { ApplicationFailure } from '@temporalio/common';
import { DefaultLogger, type LogEntry, type Logger, type LogLevel } from '@temporalio/worker';
import { oneLine } from './terminal.js';

/**
 * The SDK's logger on stderr, without its remark that each of our three workers polls for one kind of task alone, and with what was
 * failed on purpose told briefly: the stacks of that are ours alone. TRACE and DEBUG have all of it.
 *
 * @param to Where it writes. Default: stderr.
 */
export function workerLogger(level: LogLevel, to: Pick<Logger, 'log'> = new DefaultLogger('TRACE')): DefaultLogger {
  const isDetailed = level === 'TRACE' || level === 'DEBUG';
  return new DefaultLogger(level, (entry) => {
    if (/^No (activities|workflows) registered/.test(entry.message)) return;
    const { message, meta } = isDetailed ? entry : briefly(entry);
    to.log(entry.level, message, meta);
  });
}

function briefly({ message, meta }: LogEntry): { message: string; meta?: LogEntry['meta'] | undefined } {
  const { error, workflowId, activityType, activityId, attempt } = (meta ?? {}) as Record<string, unknown>;
  if (error instanceof ApplicationFailure) {
    const told = `${error.type ?? error.name}: ${error.message}`;
    return { message, meta: { workflowId, activityType, activityId, attempt, error: told } };
  }
  if (message !== 'Workflow failed' || !isThrownFailure(error)) return { message, meta };
  // A plan that ends by its own rule, a conversation that is refused: its words say all of it.
  return { message: `Workflow ${String(workflowId)} failed: ${oneLine(error.message)}` };
}

/**
 * An `ApplicationFailure` that a workflow has thrown by itself. On its way from the thread of workflows it loses its class, its name
 * and its type, and only its stack still tells; one with a cause stays as it is, for that may be news.
 */
const isThrownFailure = (error: unknown): error is Error =>
  error instanceof Error && error.cause === undefined && error.stack?.startsWith('ApplicationFailure: ') === true;
