import { Context } from '@temporalio/activity';
import type { ApprovalNotice } from '../protocol/automation.js';

/**
 * Told when something begins to wait for a person, and at each reminder. It may be told twice of the same; it is tried again some
 * minutes long when it throws.
 */
export type ApprovalHook = (notice: ApprovalNotice, signal: AbortSignal) => Promise<void> | void;

/** Makes `notifyApproval`: hands notices to the worker's hook, where it has one. */
export function createNotifyApproval(hook: ApprovalHook | undefined) {
  return async (notice: ApprovalNotice): Promise<{ told: boolean }> => {
    if (hook === undefined) return { told: false };
    await hook(notice, Context.current().cancellationSignal);
    return { told: true };
  };
}

/** How long a webhook may take to answer (milliseconds). */
const WEBHOOK_TIMEOUT_MS = 10_000;

/**
 * A hook that posts each notice as JSON, with the notice of `ApprovalNotice`.
 *
 * @param url Of the receiver; any 2xx is taken as told.
 */
export function webhook(url: string): ApprovalHook {
  return async (notice, signal) => {
    const { hostname } = new URL(url);
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(notice),
      signal: AbortSignal.any([signal, AbortSignal.timeout(WEBHOOK_TIMEOUT_MS)]),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`The approval webhook at ${hostname} answered ${response.status}`);
  };
}
