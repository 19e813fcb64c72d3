import type { BatchSubmission, ResultOrder } from '../../../client/index.js';
import { BATCH_WEIGHTS, type BatchBounds, type BatchCanary, type BatchIsolation } from '../../../protocol/batch.js';
import type { ExchangeMode } from '../../../protocol/exchange.js';
import type { OptionDefinition } from '../../command.js';
import { wholeNumber } from '../../command.js';
import { canaryOption, durationOption, numberOption, timeOption } from '../../option-values.js';

export const ID_ARGUMENT = ['<id>', 'id of the batch'] as const;

/** What the options below make. */
export interface OutputOptions {
  out?: string;
  errors?: string;
  overwrite?: boolean;
  order?: ResultOrder;
}

/** Where answers go. */
export const OUTPUT_OPTIONS: readonly OptionDefinition[] = [
  { flags: '--out <file>', about: 'answers, as JSON lines (stdout)' },
  { flags: '--errors <file>', about: 'rows without an answer; valid input for a rerun (with the answers)' },
  { flags: '--overwrite', about: 'begin these files afresh, whatever they hold; else they are gone on with' },
  {
    flags: '--order <order>',
    about: 'rows as they end, or as they stand in the input (completion)',
    choices: ['completion', 'input'],
  },
];

/** What the options below make. */
export interface SubmitOptions {
  id?: string;
  concurrency?: number;
  weight?: number;
  mode?: ExchangeMode;
  agentVersion?: string;
  canary?: BatchCanary;
  title?: string;
  deadline?: string;
  maxTokens?: number;
  maxFailures?: number;
  callTimeout?: number;
  isolation?: BatchIsolation;
  deleteSessions?: boolean;
}

/** How rows are run. Of a batch that is there already, only its id is looked at, and what its answers hang on. */
export const SUBMIT_OPTIONS: readonly OptionDefinition[] = [
  { flags: '--concurrency <n>', about: 'rows at once (20)', parse: wholeNumber('--concurrency', 1, 10_000) },
  {
    flags: '--weight <n>',
    about: 'share of the agent’s limits beside other batches: 3 has thrice the calls of 1; 0.1 to 100 (1)',
    parse: numberOption('--weight', BATCH_WEIGHTS.least, BATCH_WEIGHTS.most),
  },
  {
    flags: '--mode <mode>',
    about: 'how exchanges are sent: only streamed ones can be cancelled (streaming)',
    choices: ['streaming', 'blocking'],
  },
  { flags: '--agent-version <version>', about: 'version of the agent (latest published)' },
  {
    flags: '--canary <version=share>',
    about: 'send a share of the rows, such as 2.1=10%, to another version, and compare; rows are chosen by their id',
    parse: canaryOption,
  },
  { flags: '--title <title>', about: 'title of the sessions in AIP; costs a call a row (the agent’s own choice)' },
  {
    flags: '--deadline <time>',
    about:
      'cancel what has not ended by then: a time (ISO 8601), or a duration from the first submit such as 6h, 90m, 2d',
    parse: timeOption('--deadline'),
  },
  {
    flags: '--max-tokens <n>',
    about: 'begin no more rows once so many tokens are used',
    parse: wholeNumber('--max-tokens', 1, Number.MAX_SAFE_INTEGER),
  },
  {
    flags: '--max-failures <n>',
    about: 'begin no more rows once so many have failed',
    parse: wholeNumber('--max-failures', 1, Number.MAX_SAFE_INTEGER),
  },
  {
    flags: '--call-timeout <duration>',
    about: 'limit for one call of the agent, first byte to last (10m)',
    parse: durationOption('--call-timeout'),
  },
  {
    flags: '--isolation <how>',
    about: 'lane: many rows share an activity; workflow: each is a run of its own in the UI, and dearer (lane)',
    choices: ['lane', 'workflow'],
  },
  { flags: '--delete-sessions', about: 'delete the sessions of rows that have ended, in AIP' },
];

/** The options as settings of a submission. */
export function settingsOf(
  options: SubmitOptions,
): Partial<Omit<BatchSubmission, 'batchId' | 'agentRid' | 'rows' | 'rerunOf'>> {
  const { concurrency, weight, mode, agentVersion, canary, title, callTimeout, isolation, deleteSessions } = options;
  const bounds = boundsOf(options);
  return {
    ...(concurrency !== undefined && { concurrency }),
    ...(weight !== undefined && { weight }),
    ...(mode !== undefined && { mode }),
    ...(agentVersion !== undefined && { agentVersion }),
    ...(canary !== undefined && { canary }),
    ...(title !== undefined && { title }),
    ...(callTimeout !== undefined && { callTimeoutMs: callTimeout }),
    ...(isolation !== undefined && { isolation }),
    ...(deleteSessions !== undefined && { deleteSessions }),
    ...(bounds !== undefined && { bounds }),
  };
}

function boundsOf({ deadline, maxTokens, maxFailures }: SubmitOptions): BatchBounds | undefined {
  if (deadline === undefined && maxTokens === undefined && maxFailures === undefined) return undefined;
  return {
    ...(deadline !== undefined && { deadline }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(maxFailures !== undefined && { maxFailures }),
  };
}
