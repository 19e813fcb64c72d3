import { connect } from 'node:net';
import { Connection } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import type { SearchAttributeTypeName } from './server-arguments.js';

/** The numbers of temporal.api.enums.v1.IndexedValueType, whose enum object `@temporalio/proto` does not give to ES modules. */
const TYPE_NUMBERS: Record<SearchAttributeTypeName, temporal.api.enums.v1.IndexedValueType> = {
  Text: 1,
  Keyword: 2,
  Int: 3,
  Double: 4,
  Bool: 5,
  Datetime: 6,
  KeywordList: 7,
};

/** What has to be there before a server counts as ready. */
export interface Readiness {
  /** `host:port` of the gRPC frontend. */
  address: string;
  namespace: string;
  searchAttributes: Readonly<Record<string, SearchAttributeTypeName>>;
  /** Ends the waiting, as when the server's process has ended. */
  signal: AbortSignal;
}

/**
 * Waits until the server answers, its namespace is there, and the search attributes are: a database of an older version of
 * ours lacks the newer ones, and `start-dev` does not add them to a namespace that exists.
 *
 * @throws The signal's reason once it is aborted; Error when a search attribute exists with another type.
 */
export async function waitUntilReady(readiness: Readiness): Promise<void> {
  await untilTrue(() => acceptsConnections(readiness.address), readiness.signal);
  const connection = await Connection.connect({ address: readiness.address, connectTimeout: '10 seconds' });
  try {
    await untilTrue(() => hasNamespace(connection, readiness.namespace), readiness.signal);
    await addSearchAttributes(connection, readiness);
  } finally {
    await connection.close();
  }
}

async function untilTrue(condition: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A bare connection first: a gRPC channel that once failed waits a second before it tries again. */
function acceptsConnections(address: string): Promise<boolean> {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connect(Number(address.slice(colon + 1)), host);
    const end = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}

async function hasNamespace(connection: Connection, namespace: string): Promise<boolean> {
  return connection.withDeadline(Date.now() + 5_000, () =>
    connection.workflowService.describeNamespace({ namespace }).then(
      () => true,
      () => false,
    ),
  );
}

async function addSearchAttributes(connection: Connection, { namespace, searchAttributes }: Readiness): Promise<void> {
  if (Object.keys(searchAttributes).length === 0) return;
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing: Record<string, temporal.api.enums.v1.IndexedValueType> = {};
  for (const [name, type] of Object.entries(searchAttributes)) {
    const present = customAttributes?.[name];
    if (present === undefined) missing[name] = TYPE_NUMBERS[type];
    else if (present !== TYPE_NUMBERS[type]) {
      throw new Error(
        `Cannot use this Temporal database: its search attribute ${name} is of type ${typeName(present)}, ` +
          `and ${type} is needed. Choose another data directory, or remove the attribute there.`,
      );
    }
  }
  if (Object.keys(missing).length > 0) {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: missing });
  }
}

function typeName(number: number): string {
  return Object.entries(TYPE_NUMBERS).find(([, known]) => Number(known) === number)?.[0] ?? `number ${number}`;
}
