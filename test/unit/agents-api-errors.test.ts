import { describe, expect, test } from '@jest/globals';
import { readConnectionError, readErrorBody, readRetryAfter } from '../../src/agents-api/errors.js';
import { isLoopbackHost, parseFoundryUrl } from '../../src/agents-api/foundry-url.js';
import { withoutNulls } from '../../src/agents-api/schemas.js';

describe('readRetryAfter()', () => {
  const nowMs = Date.parse('2024-10-01T00:00:00Z');
  test.each([
    ['5', 5_000],
    ['0', 0],
    ['1.5', 1_500],
    ['-3', 0],
    ['Tue, 01 Oct 2024 00:00:10 GMT', 10_000],
    ['Mon, 30 Sep 2024 00:00:00 GMT', 0],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j is %j', (header, expected) => {
    expect(readRetryAfter(header, nowMs)).toBe(expected);
  });
});

describe('readConnectionError()', () => {
  const coded = (fields: object): Error => Object.assign(new Error('x'), fields);
  test.each([
    ['refused', coded({ code: 'ECONNREFUSED', syscall: 'connect' }), 'ECONNREFUSED', true],
    ['an unknown name', coded({ code: 'ENOTFOUND', syscall: 'getaddrinfo' }), 'ENOTFOUND', true],
    ['a busy resolver', coded({ code: 'EAI_AGAIN', syscall: 'getaddrinfo' }), 'EAI_AGAIN', true],
    ['a slow connect', coded({ code: 'UND_ERR_CONNECT_TIMEOUT' }), 'UND_ERR_CONNECT_TIMEOUT', true],
    ['a foreign certificate', coded({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }), 'DEPTH_ZERO_SELF_SIGNED_CERT', true],
    ['a reset while reading', coded({ code: 'ECONNRESET', syscall: 'read' }), 'ECONNRESET', false],
    ['a broken pipe', coded({ code: 'EPIPE', syscall: 'write' }), 'EPIPE', false],
    ['a closed socket', coded({ code: 'UND_ERR_SOCKET' }), 'UND_ERR_SOCKET', false],
    ['no route on an open connection', coded({ code: 'EHOSTUNREACH', syscall: 'read' }), 'EHOSTUNREACH', false],
    [
      'a cause two levels down',
      new Error('a', { cause: coded({ cause: coded({ code: 'ECONNRESET' }) }) }),
      'ECONNRESET',
      false,
    ],
    [
      'all addresses of a name refused',
      Object.assign(new AggregateError([coded({ code: 'ECONNREFUSED', syscall: 'connect' })]), {
        code: 'ECONNREFUSED',
      }),
      'ECONNREFUSED',
      true,
    ],
    ['no code at all', new Error('x'), 'UNKNOWN', false],
    ['no error', undefined, 'UNKNOWN', false],
  ])('%s', (_, error, causeCode, neverSent) => {
    expect(readConnectionError(error)).toEqual({ causeCode, neverSent });
  });
});

describe('readErrorBody()', () => {
  test.each([
    ['', {}],
    ['<html>', {}],
    ['null', {}],
    ['"text"', {}],
    ['{"errorName":5,"errorCode":{},"parameters":[1]}', {}],
    ['{"errorName":"SessionNotFound","parameters":{"a":1}}', { errorName: 'SessionNotFound', parameters: { a: 1 } }],
  ])('%s', (text, expected) => {
    expect(JSON.parse(JSON.stringify(readErrorBody(text)))).toEqual(expected);
  });
});

describe('parseFoundryUrl()', () => {
  test.each([
    ['https://example.palantirfoundry.com', 'https://example.palantirfoundry.com/'],
    ['example.palantirfoundry.com', 'https://example.palantirfoundry.com/'],
    [' https://proxy.example/foundry ', 'https://proxy.example/foundry/'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080/'],
    ['http://127.9.9.9', 'http://127.9.9.9/'],
    ['http://localhost:1', 'http://localhost:1/'],
    ['http://[::1]:1', 'http://[::1]:1/'],
  ])('takes %s', (given, expected) => {
    expect(parseFoundryUrl(given).href).toBe(expected);
  });

  test.each([
    ['', 'empty Foundry URL'],
    ['http://example.com', 'in the clear'],
    ['http://127.0.0.1.example.com', 'in the clear'],
    ['http://localhost.example.com', 'in the clear'],
    ['ftp://example.com', 'give it as https://HOST'],
    ['https://', 'give it as https://HOST'],
    ['https://user:secret@example.com', 'without user'],
    ['https://example.com/?preview=true', 'without user'],
  ])('refuses %j: %s', (given, problem) => {
    expect(() => parseFoundryUrl(given)).toThrow(problem);
  });

  test('takes http beyond loopback when told so, and never repeats a password', () => {
    expect(parseFoundryUrl('http://example.com', { allowInsecureHttp: true }).href).toBe('http://example.com/');
    expect(() => parseFoundryUrl('https://user:secret@example.com')).not.toThrow('secret');
  });

  test('isLoopbackHost() knows *.localhost too', () => {
    expect(['foundry.localhost', 'localhost', 'host'].map(isLoopbackHost)).toEqual([true, true, false]);
  });
});

test('withoutNulls() takes null properties away at any depth and keeps all else', () => {
  const value = { a: null, b: [{ c: null, d: 0 }, null, false], e: { f: { g: null, h: '' } } };
  expect(withoutNulls(value)).toEqual({ b: [{ d: 0 }, null, false], e: { f: { h: '' } } });
});
