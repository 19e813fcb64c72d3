import type { ScheduleOverlap } from '../../../client/index.js';
import type { OptionDefinition } from '../../command.js';

export const NAME_ARGUMENT = ['<name>', 'name of the schedule'] as const;

/** Temporal's policies, by our names for them. */
const OVERLAPS: readonly ScheduleOverlap[] = [
  'skip',
  'bufferOne',
  'bufferAll',
  'cancelOther',
  'terminateOther',
  'allowAll',
];

/** `--overlap`, with what is meant where it is not given. */
export const overlapOption = (byDefault: string): OptionDefinition => ({
  flags: '--overlap <policy>',
  about: `when the run before goes on: skip it, wait (bufferOne, bufferAll), end the other (cancelOther, terminateOther), or run beside it (allowAll) (${byDefault})`,
  choices: OVERLAPS,
});
