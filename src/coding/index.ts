import type { Checkpoint } from '../checkpoint/index.js';
import { registryOf } from '../registry.js';
import type { Coding } from './coding.js';
import { type CodedView, decodedViewWith } from './decoded-view.js';

export { type ExpectedPart, expectPart, FLOAT_DTYPES } from './check-part.js';
export {
  type CodedWeight,
  type Coding,
  type CodingRecord,
  codedNames,
  codingBytes,
  codingName,
  correctionNames,
  ownersOfParts,
} from './coding.js';
export type { CodedView } from './decoded-view.js';
export { type GroupedWeight, groupedWeight } from './grouped-codes.js';

/** Every way in which a weight can be stored. A new one is a file here and a line. */
export const codings = registryOf<Coding>()('coding', {
  plain: () => import('./plain.js'),
  factors: () => import('./factors.js'),
  integer: () => import('./integer.js'),
  float8: () => import('./float8.js'),
  codebook: () => import('./codebook.js'),
});

/** The checkpoint with every coded weight as dense F32, and without their parts; throws as `decodedViewWith`. */
export function decodedView(raw: Checkpoint): Promise<CodedView> {
  return decodedViewWith(codings, raw);
}
