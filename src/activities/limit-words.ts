import { CLOSED_AGENT_WAIT } from '../protocol/limits.js';
import type { Wait } from '../governor/index.js';

const WORDS: Readonly<Record<string, string>> = {
  paused: 'the agent, which asked to slow down',
  rate: 'the rate limit of the agent',
  concurrency: 'the limit of exchanges at once with the agent',
  ceiling: 'the ceiling that is set for the agent',
  closed: CLOSED_AGENT_WAIT,
  foundry: 'the ceiling of all calls to Foundry',
};

/** What a call waits for at the governor, in words: "waiting for …". */
export const limitWords = ({ reason }: Pick<Wait, 'reason'>): string => WORDS[reason] ?? reason;
