import type { AgentsApi } from '../agents-api/client.js';
import type { Governor } from '../governor/governor.js';
import { createCancelExchangeActivity } from './cancel-exchange.js';
import { createExchangeActivity } from './exchange-activity.js';
import type { ExchangeObserver } from './exchange-observer.js';
import { createExchangeProtocol } from './exchange-protocol.js';
import { holdShare } from './hold-share.js';
import { createLaneActivities } from './lane-activities.js';
import { createSessionActivities } from './sessions.js';

export type { CancelOutcome, ExchangeObserver, TryOutcome } from './exchange-observer.js';

/** What the activities work with; one of each for a worker. */
export interface ActivityDependencies {
  api: AgentsApi;
  governor: Governor;
  /** Is told what comes of exchanges. */
  observer?: ExchangeObserver | undefined;
  /** Lanes at once in this worker: where they are all taken, batches take turns. Default: no turns. */
  lanesAtOnce?: number | undefined;
}

/** The activities as workflows see them (types only). */
export type Activities = ReturnType<typeof createActivities>['interactive'] &
  ReturnType<typeof createActivities>['batch'];

/**
 * Makes the activities, by the task queue that they belong on: `interactive` on `interactiveTaskQueue`, `batch` on
 * `batchTaskQueue`.
 */
export function createActivities({ api, governor, observer, lanesAtOnce }: ActivityDependencies) {
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
    },
    batch: createLaneActivities({ api, governor, exchangeProtocol: protocol, lanesAtOnce }),
  };
}
