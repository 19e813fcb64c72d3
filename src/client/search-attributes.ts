import type { Client, Connection } from '@temporalio/client';
import { isGrpcServiceError } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTE_TYPES } from '../protocol/search-attributes.js';
import { SearchAttributesMissingError } from './errors.js';

type AttributeName = keyof typeof SEARCH_ATTRIBUTE_TYPES;
const NAMES = Object.keys(SEARCH_ATTRIBUTE_TYPES) as AttributeName[];

const VALUE_TYPES = {
  Keyword: proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
  Bool: proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
} as const;

/**
 * The command that adds search attributes by hand.
 *
 * @param names Default: all of ours.
 */
export function searchAttributeCommand(namespace: string, names: readonly AttributeName[] = NAMES): string {
  const parts = names.map((name) => `--name ${name} --type ${SEARCH_ATTRIBUTE_TYPES[name]}`);
  return `temporal operator search-attribute create --namespace ${namespace} ${parts.join(' ')}`;
}

/** Status of gRPC. */
const UNIMPLEMENTED = 12;

/** True when two calls at the same time added the same attribute, or the server has it after all. */
const alreadyThere = (error: unknown): boolean => isGrpcServiceError(error) && /already exists/i.test(error.details);

/**
 * Adds those of our search attributes that the namespace lacks, which needs a permission that production clients rarely have.
 *
 * @returns The names that were added; empty when all were there.
 * @throws SearchAttributesMissingError With the command to run, when adding them is not permitted.
 */
export async function ensureSearchAttributes(client: Client): Promise<string[]> {
  const namespace = client.options.namespace;
  // Only a `Connection` carries the operator service; a test environment's native connection has the same member.
  const { operatorService } = client.connection as Connection;
  const missing: AttributeName[] = [];
  try {
    const customAttributes = await operatorService.listSearchAttributes({ namespace }).then(
      (listed) => listed.customAttributes,
      (error: unknown): Record<string, unknown> => {
        // Temporal's test server can add them, but not list them.
        if (!isGrpcServiceError(error) || Number(error.code) !== UNIMPLEMENTED) throw error;
        return {};
      },
    );
    missing.push(...NAMES.filter((name) => customAttributes[name] === undefined));
    if (missing.length === 0) return [];
    await operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, VALUE_TYPES[SEARCH_ATTRIBUTE_TYPES[name]]])),
    });
    return missing;
  } catch (error) {
    if (alreadyThere(error)) return missing;
    const names = missing.length === 0 ? NAMES : missing;
    const reason = isGrpcServiceError(error) ? error.details : String(error);
    throw new SearchAttributesMissingError(names, searchAttributeCommand(namespace, names), reason);
  }
}
