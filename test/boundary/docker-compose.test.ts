import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { SEARCH_ATTRIBUTE_TYPES } from '../../src/protocol/search-attributes.js';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

describe('docker-compose.yml', () => {
  test('has just the search attributes registered that the workflows use', () => {
    const script = read('docker/register-search-attributes.sh');
    const registered = [...script.matchAll(/--name (\w+) --type (\w+)/g)].map(([, name, type]) => [name, type]);
    expect(Object.fromEntries(registered)).toEqual(SEARCH_ATTRIBUTE_TYPES);
  });

  test('publishes every port on the loopback address alone', () => {
    const published = [...read('docker-compose.yml').matchAll(/^ +ports:\n((?: +- .*\n)+)/gm)].flatMap(([, ports]) =>
      (ports ?? '').trim().split(/\n\s*/),
    );
    expect(published.length).toBeGreaterThan(0);
    for (const port of published) expect(port).toMatch(/^- ['"]?127\.0\.0\.1:/);
  });

  test('mounts only files that are there', () => {
    const mounted = [...read('docker-compose.yml').matchAll(/- \.\/([\w./-]+):/g)].map(([, path]) => path ?? '');
    expect(mounted).toHaveLength(3);
    for (const path of mounted) expect(read(path)).not.toBe('');
  });
});
