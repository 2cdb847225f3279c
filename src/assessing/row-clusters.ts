import { BirdboneError } from '../errors.js';
import { readClusters } from '../grouping/index.js';
import type { Model } from '../model/index.js';

/**
 * The clusters of output rows in a file that `cluster` wrote, by the stored name of the matrix. Throws `unreadable` as `readClusters`
 * does, and `usage` for clusters of other neurons, or of a model whose matrices are other ones.
 */
export async function readRowClusters(file: string, { decoder }: Model): Promise<ReadonlyMap<string, Int32Array>> {
  const { neurons, populations } = await readClusters(file);
  const suggestions = ['Cluster the rows of this model: birdbone cluster MODEL --neurons rows --out FILE.json'];
  if (neurons !== 'rows') {
    throw new BirdboneError(
      'usage',
      `${file} holds clusters of ${neurons}. Damage is divided among clusters of the output rows of matrices: rows.`,
      { file, suggestions },
    );
  }
  const rows = new Map(decoder.blocks.flatMap(({ linears }) => linears.map(({ weight, rows }) => [weight, rows])));
  for (const { name, assignments } of populations) {
    const expected = rows.get(name);
    if (expected === assignments.length) continue;
    const has = expected === undefined ? 'has no such matrix' : `has ${expected} rows in it`;
    throw new BirdboneError(
      'usage',
      `${file} has ${assignments.length} rows of ${JSON.stringify(name)}; the dense model ${has}.`,
      { file, tensor: name, suggestions },
    );
  }
  return new Map(populations.map(({ name, assignments }) => [name, assignments]));
}
