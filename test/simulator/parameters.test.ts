import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { orderAgent, parameterUpdates, simulatedAnswer, startSimulator } from '../../src/simulator/index.js';
import type { Simulator } from '../../src/simulator/index.js';
import { ask, callApi, openSession, readContent } from './support.js';

describe('parameters', () => {
  let simulator: Simulator;
  let sessionRid: string;
  const objectSet = { type: 'objectSet', ontology: 'o', objectSet: { type: 'base', objectType: 'customerOrder' } };

  beforeAll(async () => {
    simulator = await startSimulator();
  });
  afterAll(() => simulator.close());
  beforeEach(async () => {
    sessionRid = await openSession(simulator);
  });

  test('of the agent have both types and both kinds of access, in every version', async () => {
    for (const version of ['1.0', '1.1', '2.0']) {
      const { body } = await callApi(simulator, 'GET', '', undefined, { query: `?version=${version}&preview=true` });
      const parameters = Object.values(
        body['parameters'] as Record<string, { access: string; parameterType: { type: string } }>,
      );
      expect(new Set(parameters.map(({ access }) => access))).toEqual(new Set(['READ_ONLY', 'READ_WRITE']));
      expect(new Set(parameters.map(({ parameterType }) => parameterType.type))).toEqual(
        new Set(['string', 'objectSet']),
      );
    }
  });

  test('go into the answer', async () => {
    const parameterInputs = {
      customerName: { type: 'string' as const, value: 'Ada' },
      currentCustomerOrders: objectSet,
    };
    const { body } = await ask(simulator, sessionRid, 'Hello', { parameterInputs });
    expect(body['agentMarkdownResponse']).toContain('customerName = “Ada”');
    expect(body['agentMarkdownResponse']).not.toBe(simulatedAnswer({ text: 'Hello', agentVersion: '2.0', turn: 1 }));
  });

  test('of a wrong name are refused with InvalidParameter', async () => {
    const answer = await ask(simulator, sessionRid, 'Hello', {
      parameterInputs: { colour: { type: 'string', value: 'red' } },
    });
    expect(answer).toMatchObject({
      status: 400,
      body: { errorCode: 'INVALID_ARGUMENT', errorName: 'InvalidParameter' },
    });
    expect(answer.body.parameters).toEqual({ agentRid: simulator.agentRid, sessionRid, parameter: 'colour' });
  });

  test('that only a later version has are refused in a session of an earlier one', async () => {
    const earlier = await openSession(simulator, { agentVersion: '1.0' });
    const parameterInputs = { language: { type: 'string', value: 'de' } };
    expect((await ask(simulator, earlier, 'Hello', { parameterInputs })).body.errorName).toBe('InvalidParameter');
    expect((await ask(simulator, sessionRid, 'Hello', { parameterInputs })).status).toBe(200);
  });

  test('of the wrong type are refused with InvalidParameterType', async () => {
    const answer = await ask(simulator, sessionRid, 'Hello', { parameterInputs: { customerName: objectSet } });
    expect(answer).toMatchObject({ status: 400, body: { errorName: 'InvalidParameterType' } });
    expect(answer.body.parameters).toEqual({
      agentRid: simulator.agentRid,
      sessionRid,
      parameter: 'customerName',
      expectedType: 'string',
      receivedType: 'objectSet',
    });
  });

  test.each([
    [{ customerName: 'Ada' }],
    [{ customerName: { type: 'number', value: 1 } }],
    [{ customerName: { type: 'string' } }],
    [{ currentCustomerOrders: { type: 'objectSet', objectSet: {} } }],
    [{ currentCustomerOrders: { type: 'objectSet', ontology: 'o', objectSet: 'ri.x' } }],
    [[]],
  ])('without the shape of a parameter are refused: %j', async (parameterInputs) => {
    const answer = await ask(simulator, sessionRid, 'Hello', { parameterInputs });
    expect(answer).toMatchObject({ status: 400, body: { errorName: 'Default:InvalidArgument' } });
  });

  test('are updated where the agent may write, in the result and in the content', async () => {
    const text = 'Ship it [set status=shipped] [set customerName=Eve] [set selectedOrders=mine] [set nothing=x]';
    const { body } = await ask(simulator, sessionRid, text);
    expect(body['parameterUpdates']).toEqual({
      status: { type: 'string', value: 'shipped' },
      selectedOrders: { type: 'objectSet', value: expect.stringMatching(/^ri\.object-set\./) },
    });
    expect(body['parameterUpdates']).toEqual(parameterUpdates(text, orderAgent.versions.at(-1)!));
    expect((await readContent(simulator, sessionRid))[0]?.result.parameterUpdates).toEqual(body['parameterUpdates']);
  });

  test('can be handed back from an update as a reference to an object set', async () => {
    const reference = { type: 'reference', reference: 'ri.object-set.main.versioned-object-set.1' };
    const parameterInputs = { selectedOrders: { type: 'objectSet', ontology: 'o', objectSet: reference } };
    expect((await ask(simulator, sessionRid, 'Hello', { parameterInputs })).status).toBe(200);
  });
});
