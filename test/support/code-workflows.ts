/** Workflows as a user would write them, for tests: bundled by the test itself. */
import {
  CancellationScope,
  condition,
  continueAsNew,
  defineSignal,
  isCancellation,
  setHandler,
} from '@temporalio/workflow';
import {
  approval,
  type ApprovalAnswer,
  askJson,
  Conversation,
  type ConversationSnapshot,
  type ExchangeOutcome,
  runBatch,
  type StandardSchema,
} from '../../src/workflows/index.js';

export * from '../../src/workflows/index.js';

interface Common {
  agentRid: string;
  tag: string;
}

/** Waits for the signal `goOn`, once for each: the test sees when the agent is at work. */
function goOns(): () => Promise<void> {
  let told = 0;
  setHandler(defineSignal('goOn'), () => void told++);
  return async () => {
    await condition(() => told > 0);
    told--;
  };
}

const statusesOf = (outcomes: readonly ExchangeOutcome[]) => outcomes.map(({ status }) => status);

/** Asks several things at once in one conversation, and something in another. */
export async function inParallel({ agentRid, tag }: Common) {
  const one = Conversation.open({ agentRid });
  const other = Conversation.open({ agentRid, name: 'other', mode: 'blocking' });
  const outcomes = await Promise.all([
    ...[1, 2, 3].map((n) => one.ask(`${tag} one ${n} [takes 100ms]`)),
    other.ask(`${tag} other [takes 2s]`),
  ]);
  await one.close();
  const refused = await one.ask('Closed?').catch((error: Error) => error.message);
  return { statuses: statusesOf(outcomes), totals: one.totals, session: one.session?.exchangeCount, refused };
}

/** A scope is cancelled with one exchange in flight and one that waits; the conversation stays usable. */
export async function cancelledScope({ agentRid, tag }: Common) {
  const goOn = goOns();
  const conversation = Conversation.open({ agentRid });
  const scope = new CancellationScope();
  const slow = scope.run(() =>
    Promise.allSettled([conversation.ask(`${tag} [takes 20s]`), conversation.ask(`${tag} queued`)]),
  );
  await goOn();
  scope.cancel();
  const settled = await slow;
  const later = await conversation.answer(`${tag} later [answer]still here`);
  return {
    cancelled: settled.map((one) => one.status === 'rejected' && isCancellation(one.reason)),
    ...{ later, totals: conversation.totals },
  };
}

/** Cancels by hand, with a response and without one, and by `whenBusy`. */
export async function byHand({ agentRid, tag }: Common) {
  const goOn = goOns();
  const conversation = Conversation.open({ agentRid });
  const cut = async (text: string, act: () => void) => {
    const asked = conversation.ask(text);
    await goOn();
    act();
    return asked;
  };
  const withResponse = await cut(`${tag} a [takes 20s]`, () => conversation.cancel({ response: 'That will do' }));
  const without = await cut(`${tag} b [takes 20s]`, () => conversation.cancel());
  let urgent: Promise<ExchangeOutcome> | undefined;
  const rolledBack = await cut(`${tag} c [takes 20s]`, () => {
    urgent = conversation.ask({ text: `${tag} urgent`, whenBusy: 'rollback' });
  });
  await urgent;
  const interrupted = await cut(`${tag} d [takes 20s]`, () => {
    urgent = conversation.ask({ text: `${tag} more urgent`, whenBusy: 'interrupt' });
  });
  let rejected = '';
  const busy = conversation.ask(`${tag} e`);
  await conversation.ask({ text: 'Never', whenBusy: 'reject' }).catch((error: Error) => (rejected = error.message));
  const outcomes = [withResponse, without, rolledBack, interrupted, await urgent!, await busy];
  return { statuses: statusesOf(outcomes), answer: withResponse.result?.agentMarkdownResponse, rejected };
}

/** A conversation over three runs, and its snapshot while it is busy. */
export async function overRuns(input: Common & { run: number; snapshot?: ConversationSnapshot }): Promise<unknown> {
  const { agentRid, tag, run, snapshot } = input;
  const conversation = Conversation.open({ agentRid, name: 'long' }, snapshot);
  const asked = conversation.ask(`${tag} run ${run} [set status=run${run}]`);
  let busy = '';
  try {
    conversation.snapshot();
  } catch (error) {
    busy = (error as Error).message;
  }
  await asked;
  if (run < 3) return continueAsNew<typeof overRuns>({ ...input, run: run + 1, snapshot: conversation.snapshot() });
  const texts = conversation.transcript.map(({ text }) => text?.replace(tag, ''));
  return { busy, texts, totals: conversation.totals, parameters: conversation.parameters };
}

/** A batch, its pages, and how many rows each has. */
export async function withBatch({ agentRid, tag }: Common) {
  const text = (n: number) => `${tag} row ${n} [long 40000]`;
  const batch = await runBatch({ agentRid, rows: Array.from({ length: 30 }, (_, n) => text(n)), concurrency: 10 });
  const pages: number[] = [];
  const ids = new Set<string>();
  for await (const page of batch.pages()) {
    pages.push(page.length);
    for (const { result } of page) ids.add(result.id);
  }
  return { counts: batch.counts, pages, ids: ids.size };
}

export async function withApproval({ tag }: Common): Promise<ApprovalAnswer[]> {
  const first = await approval({ message: `${tag}?` });
  const second = await approval({ message: 'Nobody?', approvalId: 'mine', waitMs: 50, default: 'reject' });
  let malformed = '';
  await approval({ message: 'Never', remindEveryMs: 0 }).catch((error: Error) => (malformed = error.message));
  return [first, second, { ...second, comment: malformed }];
}

/** By a schema as zod makes them. */
export async function withStandardSchema({ agentRid, tag }: Common) {
  const schema: StandardSchema<number[]> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) =>
        Promise.resolve(
          Array.isArray(value)
            ? { value: value.map(Number) }
            : { issues: [{ message: 'No list', path: ['x', { key: 0 }] }] },
        ),
    },
  };
  const conversation = Conversation.open({ agentRid });
  const jsonSchema = { $comment: '[answer][1, 2]' };
  return askJson(conversation, { message: `${tag} [answer]\n\`\`\`json\n{}\n\`\`\``, schema, jsonSchema });
}

/** Waits in every way until it is cancelled; closes what it has opened. */
export async function untilCancelled({ agentRid, tag }: Common) {
  const conversation = Conversation.open({ agentRid });
  setHandler(defineSignal('nothing'), () => undefined);
  try {
    await Promise.all([conversation.ask(`${tag} [takes 20s]`), condition(() => false)]);
  } finally {
    await conversation.close();
  }
}
