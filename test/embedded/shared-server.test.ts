import { describe, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTE_TYPES } from '../../src/protocol/search-attributes.js';
import { temporalServer } from '../support/temporal-server.js';

describe('the shared Temporal server of a jest run', () => {
  test('is the same for everyone who asks, and knows the search attributes of the project', async () => {
    const [first, second] = await Promise.all([temporalServer(), temporalServer()]);
    expect(second).toEqual(first);
    const connection = await Connection.connect({ address: first.address });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: first.namespace });
    await connection.close();
    expect(Object.keys(customAttributes ?? {})).toEqual(expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTE_TYPES)));
  });
});
