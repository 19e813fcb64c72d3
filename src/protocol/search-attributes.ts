import { defineSearchAttributeKey } from '@temporalio/common';

/** The search attributes of our workflows. State only, never text: they are not encrypted by a payload codec. */
export const SEARCH_ATTRIBUTE_TYPES = {
  /** The agent's RID. */
  AipAgent: 'Keyword',
  /** The RID of the session in use. */
  AipSession: 'Keyword',
  /** The id of the batch that a run belongs to. */
  AipBatch: 'Keyword',
  /** `open`, `closing`, … : where the run stands. */
  AipState: 'Keyword',
  /** True when a person has to do something. */
  AipNeedsAttention: 'Bool',
} as const;

export const searchAttributeKeys = {
  agent: defineSearchAttributeKey('AipAgent', 'KEYWORD'),
  session: defineSearchAttributeKey('AipSession', 'KEYWORD'),
  batch: defineSearchAttributeKey('AipBatch', 'KEYWORD'),
  state: defineSearchAttributeKey('AipState', 'KEYWORD'),
  needsAttention: defineSearchAttributeKey('AipNeedsAttention', 'BOOL'),
};
