import { z } from 'zod';

/**
 * The shapes of `protocol/exchange.ts` as callers hand them in, checked strictly at the doors: messages of the client, rows of
 * batch files. zod stays out of `protocol`, which goes into the workflow bundle.
 */

/** A `ParameterValue`. An object set is the API's definition of one; the server judges what is in it. */
export const parameterValueSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('string').describe('A text.'), value: z.string().describe('The text.') }),
  z.strictObject({
    type: z.literal('objectSet').describe('A set of objects.'),
    objectSet: z
      .looseObject({ type: z.string().describe('base, filter, reference, …') })
      .describe("The set's definition, as the Ontologies API has it."),
    ontology: z.string().min(1).describe('RID or API name of its ontology.'),
  }),
]);

/** An `InputContext`. */
export const inputContextSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('functionRetrievedContext'),
    functionRid: z.string(),
    functionVersion: z.string(),
    retrievedPrompt: z.string(),
  }),
  z.strictObject({
    type: z.literal('objectContext'),
    objectRids: z.array(z.string()),
    propertyTypeRids: z.array(z.string()),
  }),
]);
