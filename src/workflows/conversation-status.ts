import type { ConversationInput, ConversationPhase, ConversationStatus } from '../protocol/conversation.js';
import { DEFAULTS } from '../protocol/defaults.js';
import type { ConversationState } from './conversation-state.js';
import { detailsText } from './details-text.js';
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
  const last = state.outcomes().at(-1);
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
    ...(last?.error !== undefined && {
      lastFailure: { messageId: last.messageId, index: last.index, error: last.error },
    }),
    parameters: { ...input.parameterInputs, ...state.parameters },
    ...(state.title !== undefined && { title: state.title }),
    closing: state.isClosing,
    runs: state.runs,
  };
}

/** The same as markdown for the Temporal UI. */
export function detailsOf(status: ConversationStatus): string {
  const { totals, session, lastFailure, queue } = status;
  return detailsText([
    `**${status.phase}**${waitText(status)}`,
    '',
    ...(lastFailure === undefined ? [] : [`- **exchange ${lastFailure.index} failed**: ${failureText(lastFailure)}`]),
    `- exchanges: ${countsText(totals)}; ${queue.length} queued; ${totals.tokens} tokens`,
    `- session${totals.sessions > 1 ? ` ${totals.sessions}` : ''}: ${session?.sessionRid ?? 'none yet'}`,
    `- agent: ${status.agentRid}`,
  ]);
}

function waitText({ waitingFor, waitingUntil }: ConversationStatus): string {
  if (waitingFor === undefined) return '';
  const until = waitingUntil === undefined ? '' : ` until ${waitingUntil.replace('T', ' ').replace(/\.\d+/, '')}`;
  return `, waiting for ${waitingFor}${until}`;
}

/** Name and id, for Palantir's pages and its support; the whole message stands at the failed activity. */
function failureText({ error }: NonNullable<ConversationStatus['lastFailure']>): string {
  const instance = error.errorInstanceId === undefined ? '' : ` (errorInstanceId ${error.errorInstanceId})`;
  return `${error.errorName}${instance}`;
}

/** `3 answered, 1 failed`: what there is none of is left out. */
function countsText({ answered, interrupted, cancelled, failed }: ConversationStatus['totals']): string {
  const counts = Object.entries({ interrupted, cancelled, failed }).filter(([, count]) => count > 0);
  return [`${answered} answered`, ...counts.map(([state, count]) => `${count} ${state}`)].join(', ');
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
      return { waitingFor: "the agent's answer (limits and retries: see Pending Activities)" };
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
