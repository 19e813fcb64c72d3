/** Every name in a plan: JSONata can then say `steps.answer` and `vars.total` without quotes. */
export const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What every expression sees by these names; nothing else may have them. */
export const RESERVED = ['inputs', 'steps', 'vars', 'run', 'error', 'index'] as const;

/** What tells one kind of step from another. */
export const STEP_KINDS = [
  'ask',
  'askJson',
  'approve',
  'wait',
  'forEach',
  'if',
  'parallel',
  'batch',
  'set',
  'fail',
] as const;

/** An RID of an agent, as Foundry shows it. */
export const AGENT_RID = /^ri\.aip-agents\.[^\s.]*\.agent\.[^\s.]+$/;

/** Words that other tools and our own API have for what a plan calls by another name. */
export const OTHER_WORDS: Readonly<Record<string, string>> = {
  agentrid: 'agent',
  conversation: 'in',
  conversationid: 'in',
  foreachitem: 'forEach',
  loop: 'forEach',
  each: 'forEach',
  items: 'forEach',
  sleep: 'wait',
  delayseconds: 'wait',
  timeout: 'deadline',
  timeoutms: 'deadline',
  deadlinems: 'deadline',
  exchangetimeoutms: 'exchangeTimeout',
  calltimeoutms: 'callTimeout',
  parameterinputs: 'parameters',
  prompt: 'ask',
  question: 'ask',
  approval: 'approve',
  retries: 'retry',
  attempts: 'retry',
  otherwise: 'else',
  result: 'output',
  outputs: 'output',
  returns: 'output',
  variables: 'set',
  desc: 'description',
  label: 'title',
};
