import type { ConversationInput, ConversationPhase, ConversationStatus } from '../protocol/conversation.js';
import { DEFAULTS } from '../protocol/defaults.js';
import type { ConversationState } from './conversation-state.js';
import type { RunningExchange } from './exchange.js';

const PREVIEW_CHARACTERS = 80;

/** Where a conversation stands, as `statusQuery` tells it. */
export function statusOf(
  input: ConversationInput,
  state: ConversationState,
  running: RunningExchange | undefined,
  run: { rolling: boolean; ended: boolean },
): ConversationStatus {
  const phase = phaseOf(state, running, run);
  const waiting = waitOf(phase, input, state);
  const { message } = running ?? {};
  const { answered, interrupted, cancelled, failed } = state.totals;
  return {
    agentRid: input.agentRid,
    phase,
    ...waiting,
    ...(state.session !== undefined && { session: state.session }),
    ...(running !== undefined &&
      message !== undefined && {
        inFlight: {
          messageId: message.messageId,
          index: message.index,
          activityId: running.activityId,
          startedAt: running.startedAt,
          textPreview: preview(message.text),
        },
      }),
    queue: state.queue.map(({ messageId, index, text }) => ({ messageId, index, textPreview: preview(text) })),
    totals: { ...state.totals },
    exchanges: answered + interrupted + cancelled + failed,
    parameters: { ...input.parameterInputs, ...state.parameters },
    ...(state.title !== undefined && { title: state.title }),
    closing: state.isClosing,
    runs: state.runs,
  };
}

/** The same as markdown for the Temporal UI: state first, nothing vital last, no user text (it travels in a URL). */
export function detailsOf(status: ConversationStatus): string {
  const { totals } = status;
  const wait = status.waitingFor === undefined ? '' : `: ${status.waitingFor}`;
  return [
    `**${status.phase}**${wait}`,
    '',
    `- queue: ${status.queue.length}`,
    `- exchanges: ${totals.answered} answered, ${totals.interrupted} interrupted, ${totals.cancelled} cancelled, ${totals.failed} failed`,
    `- tokens: ${totals.tokens}`,
    `- session: ${status.session?.sessionRid ?? 'none yet'} (${totals.sessions} so far)`,
    `- agent: ${status.agentRid}`,
    '',
  ].join('\n');
}

function phaseOf(
  state: ConversationState,
  running: RunningExchange | undefined,
  { rolling, ended }: { rolling: boolean; ended: boolean },
): ConversationPhase {
  if (ended) return 'closed';
  if (rolling) return 'rolling';
  if (running !== undefined) return running.phase;
  return state.isClosing ? 'closing' : 'idle';
}

function waitOf(
  phase: ConversationPhase,
  input: ConversationInput,
  state: ConversationState,
): { waitingFor?: string; waitingUntil?: string } {
  switch (phase) {
    case 'idle': {
      const untilMs = state.lastActiveMs + (input.idleTimeoutMs ?? DEFAULTS.idleTimeoutMs);
      return { waitingFor: 'a message', waitingUntil: new Date(untilMs).toISOString() };
    }
    case 'openingSession':
      return { waitingFor: 'a session' };
    case 'exchanging':
      return { waitingFor: "the agent's answer (see the pending activity for limits and retries)" };
    case 'cancelling':
      return { waitingFor: 'the agent to end the exchange' };
    case 'rolling':
      return { waitingFor: 'callers to move to the next run' };
    case 'closing':
    case 'closed':
      return {};
  }
}

function preview(text: string): string {
  return text.length <= PREVIEW_CHARACTERS ? text : `${text.slice(0, PREVIEW_CHARACTERS - 1)}…`;
}
