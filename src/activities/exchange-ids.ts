import { v5 as uuidV5 } from 'uuid';
import type { ExchangeIds } from '../protocol/exchange.js';

/**
 * The `sessionTraceId` of send number `traceNumber` of an exchange: the same for every attempt, so that the server itself
 * refuses a second landing (contract, fact 5). The session is part of it, since an exchange can move to a new one.
 */
export function sessionTraceId(sessionRid: string, ids: ExchangeIds, traceNumber: number): string {
  return uuidV5(`${sessionRid}/${traceNumber}`, ids.traceIdBase);
}
