import type { ClientContext } from './connection.js';
import { orAborted } from './abort.js';

/** Of the ten updates that a workflow has in flight at most, those that one client takes: others want to ask, too. */
const SLOTS = 8;

/** Asks that wait for a slot, by conversation; empty ones are taken away. */
const waiting = new WeakMap<ClientContext['client'], Map<string, Slots>>();

interface Slots {
  taken: number;
  queue: (() => void)[];
}

/**
 * Runs as soon as fewer than eight of this client's asks are in flight at the conversation, in the order of the calls. Beyond ten
 * the server refuses, and waiting for it would be long and out of order.
 */
export async function withUpdateSlot<T>(
  context: ClientContext,
  conversationId: string,
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
): Promise<T> {
  const byConversation = waiting.get(context.client) ?? new Map<string, Slots>();
  waiting.set(context.client, byConversation);
  const slots = byConversation.get(conversationId) ?? { taken: 0, queue: [] };
  byConversation.set(conversationId, slots);
  await takeSlot(slots, signal);
  try {
    return await run();
  } finally {
    slots.taken--;
    slots.queue.shift()?.();
    if (slots.taken === 0 && slots.queue.length === 0) byConversation.delete(conversationId);
  }
}

async function takeSlot(slots: Slots, signal: AbortSignal | undefined): Promise<void> {
  if (slots.taken < SLOTS) {
    slots.taken++;
    return;
  }
  let enter: () => void = () => undefined;
  const turn = new Promise<void>((resolve) => {
    enter = () => {
      slots.taken++;
      resolve();
    };
  });
  slots.queue.push(enter);
  try {
    await orAborted(turn, signal);
  } catch (error) {
    const position = slots.queue.indexOf(enter);
    if (position === -1) {
      // The turn came in the same moment: it goes to the next.
      slots.taken--;
      slots.queue.shift()?.();
    } else slots.queue.splice(position, 1);
    throw error;
  }
}
