import { LIMITS } from '../protocol/defaults.js';
import { InvalidCallError } from './errors.js';

/** Sees that the reason of a pause or a closing fits into lists and bars. @throws InvalidCallError */
export function checkReason(what: 'pause' | 'close', reason: string | undefined): void {
  if (reason === undefined || reason.length <= LIMITS.reasonCharacters) return;
  throw new InvalidCallError(
    `Cannot ${what} for a reason of ${reason.length} characters: give at most ${LIMITS.reasonCharacters}`,
  );
}
