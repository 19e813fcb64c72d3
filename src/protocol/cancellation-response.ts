import type { ExchangeProgress } from './activities.js';
import type { ExchangeCancellation } from './conversation.js';

/**
 * The `response` with which an exchange is cancelled: the text that stays in the session; undefined: it is not added.
 *
 * @param progress What is known of the running exchange; of a text whose head was cut, the tail is kept.
 */
export function cancellationResponse(
  cancellation: ExchangeCancellation | undefined,
  progress: Pick<ExchangeProgress, 'text' | 'textOffset'> | undefined,
): string | undefined {
  switch (cancellation?.kind) {
    case 'withResponse':
      return cancellation.response;
    case 'withTextSoFar':
      return progress === undefined ? '' : `${progress.textOffset > 0 ? '…' : ''}${progress.text}`;
    case 'withoutResponse':
    case undefined:
      return undefined;
  }
}
