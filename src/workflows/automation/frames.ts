/**
 * Where a plan stands, as JSON: the steps that are being done, and no others. The engine changes frames in place; taken as they are
 * when everything has come to rest, they are what the next run goes on from.
 */
import type { JsonObject, JsonValue } from '../../protocol/plan.js';
import type { ApprovalMemory } from '../approval.js';

/** A block of steps that is being done. */
export interface BlockFrame {
  /** Number of the step at hand. */
  at: number;
  /** Absent until it is begun. */
  step?: StepFrame;
}

/** A step that has been begun and has not ended. */
export interface StepFrame {
  /** Milliseconds since the epoch. */
  startedMs: number;
  /** Retries so far. */
  retries: number;
  /** While it waits for its next try (milliseconds since the epoch). */
  retryMs?: number;
  approval?: ApprovalMemory;
  /** `wait`: until when (milliseconds since the epoch). */
  untilMs?: number;
  forEach?: ForEachFrame;
  /** `if`: which way, and how far. */
  branch?: { name: 'then' | 'else'; block: BlockFrame };
  /** `parallel`: how far each branch is. */
  branches?: Record<string, BlockFrame>;
}

export interface ForEachFrame {
  items: JsonValue[];
  /** Number of the first item that is not begun. */
  next: number;
  failed: number;
  /** In the order of the items, null where there is none yet; only where they are collected. */
  results: JsonValue[];
  /** Those that are being done, by number. */
  active: Record<string, ItemFrame>;
}

export interface ItemFrame {
  block: BlockFrame;
  scope: ScopeMemory;
}

/** What the steps of a scope (the plan, or one item of a `forEach`) have resulted in. */
export interface ScopeMemory {
  steps: JsonObject;
  /** The last failure that the plan went on after. */
  error?: { errorName: string; message: string; step: string };
}

export const newBlock = (): BlockFrame => ({ at: 0 });
export const newScope = (): ScopeMemory => ({ steps: {} });
