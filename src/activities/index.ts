import type { AgentsApi } from '../agents-api/client.js';
import type { Governor } from '../governor/governor.js';
import { createCancelExchangeActivity } from './cancel-exchange.js';
import { type BatchCalls, createChildBatchActivities } from './child-batch.js';
import { createExchangeActivity } from './exchange-activity.js';
import type { ExchangeObserver } from './exchange-observer.js';
import { createExchangeProtocol } from './exchange-protocol.js';
import { holdShare } from './hold-share.js';
import { createLaneActivities } from './lane-activities.js';
import { type ApprovalHook, createNotifyApproval } from './notify-approval.js';
import { createSessionActivities } from './sessions.js';

export type { BatchCalls } from './child-batch.js';
export { type ApprovalHook, webhook } from './notify-approval.js';
export type { CancelOutcome, ExchangeObserver, TryOutcome } from './exchange-observer.js';

/** What the activities work with; one of each for a worker. */
export interface ActivityDependencies {
  api: AgentsApi;
  governor: Governor;
  /** Is told what comes of exchanges. */
  observer?: ExchangeObserver | undefined;
  /** Lanes at once in this worker: where they are all taken, batches take turns. Default: no turns. */
  lanesAtOnce?: number | undefined;
  /** Is told of approvals that wait. Default: nobody is. */
  onApproval?: ApprovalHook | undefined;
  /** What batches of workflows need of the client library. Default: they cannot be run. */
  batches?: BatchCalls | undefined;
}

/** The activities as workflows see them (types only). */
export type Activities = ReturnType<typeof createActivities>['interactive'] &
  ReturnType<typeof createActivities>['batch'];

/**
 * Makes the activities, by the task queue that they belong on: `interactive` on `interactiveTaskQueue`, `batch` on
 * `batchTaskQueue`.
 */
export function createActivities(dependencies: ActivityDependencies) {
  const { api, governor, observer, lanesAtOnce, onApproval, batches } = dependencies;
  const protocol = createExchangeProtocol({ api, governor, observer });
  return {
    interactive: {
      ...createSessionActivities({ api }),
      /** One exchange, streamed: it can be cancelled at the agent. AIP Agents v2: Streaming Continue Session. */
      streamingContinue: createExchangeActivity('streaming', { protocol }),
      /** One exchange, answered whole: it cannot be cancelled. AIP Agents v2: Blocking Continue Session. */
      blockingContinue: createExchangeActivity('blocking', { protocol }),
      cancelExchange: createCancelExchangeActivity({ protocol }),
      holdShare,
      ...createChildBatchActivities(batches),
      notifyApproval: createNotifyApproval(onApproval),
    },
    batch: createLaneActivities({ api, governor, exchangeProtocol: protocol, lanesAtOnce }),
  };
}
