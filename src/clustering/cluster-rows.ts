import { clusterings, NOISE } from '../clusters/index.js';
import { collectEvidence } from '../evidence/index.js';
import type { HiddenStates, LinearInput, LoadedBlock, Model } from '../model/index.js';
import type { Device } from '../tensor/index.js';
import { clusterPopulation } from './cluster-population.js';
import { describeModel } from './describe-model.js';
import { onHost } from './describe-weights.js';
import type { Population } from './population.js';
import type { MatrixRowClusters, RowClusterFigures } from './row-clusters.js';
import type { ClusteringContext, ClusterSettings } from './settings.js';
import type { HostWeight } from './weight-figures.js';

/**
 * Clusters the output rows of every linear weight inside the blocks, each matrix by itself; by its stored name, in the order of a
 * forward pass. Every row is in a cluster: noise, and rows that give nothing, share the last one. The same model, text and
 * settings give the same clusters. Throws as `describeModel` and `cluster`.
 *
 * @example
 * const clusters = await clusterRows(model, { by: 'functional', method: 'kmeans', k: 'auto', seed: 0 }, context);
 * const { assignments } = clusters.get('model.layers.0.mlp.up_proj.weight')!;
 */
export async function clusterRows(
  model: Model,
  settings: ClusterSettings,
  context: ClusteringContext,
): Promise<ReadonlyMap<string, MatrixRowClusters>> {
  await clusterings.load(settings.method);
  const importances = new Map<string, Float64Array>();
  const visit = async (block: LoadedBlock, states: HiddenStates | undefined) => {
    for (const [name, rows] of await rowImportances(block, states, context)) importances.set(name, rows);
  };
  const found = new Map<string, MatrixRowClusters>();
  const { by, seed } = settings;
  const stop = context.signal && { signal: context.signal };
  for await (const population of describeModel(model, { kind: 'rows', by, seed, visit }, context)) {
    const { name } = population;
    const { assignments } = await clusterPopulation(population, settings, { ...stop });
    found.set(name, matrixClusters(population, wholly(assignments), importances.get(name)!));
    importances.delete(name);
  }
  return found;
}

/** Of each row, the mean over its weights of |W_ij| · ‖X_j‖₂, or of |W_ij| without states; by the weight's name. */
async function rowImportances(
  block: LoadedBlock,
  states: HiddenStates | undefined,
  { device, signal }: ClusteringContext,
): Promise<ReadonlyMap<string, Float64Array>> {
  const norms = states && (await inputNorms(block, states, { device, ...(signal && { signal }) }));
  const importances = new Map<string, Float64Array>();
  for (const spec of block.spec.linears) {
    const weight = await onHost(block, spec.weight, device);
    importances.set(spec.weight, meanAmounts(weight, norms?.get(spec.input)));
  }
  return importances;
}

async function inputNorms(
  block: LoadedBlock,
  states: HiddenStates,
  options: { readonly device: Device; readonly signal?: AbortSignal },
): Promise<ReadonlyMap<LinearInput, Float32Array>> {
  const evidence = await collectEvidence(block, states, new Set(['norms'] as const), options);
  try {
    const norms = new Map<LinearInput, Float32Array>();
    for (const input of evidence.inputs) {
      norms.set(input, (await options.device.read(evidence.normsOf(input))) as Float32Array);
    }
    return norms;
  } finally {
    evidence.dispose();
  }
}

function meanAmounts({ values, rows, columns }: HostWeight, norms: Float32Array | undefined): Float64Array {
  const means = new Float64Array(rows);
  for (let row = 0; row < rows; row += 1) {
    let sum = 0;
    for (let column = 0; column < columns; column += 1) {
      sum += Math.abs(values[row * columns + column]!) * (norms?.[column] ?? 1);
    }
    means[row] = sum / columns;
  }
  return means;
}

/** The assignments with all that is in no cluster in one of its own, the last. */
function wholly(assignments: Int32Array): Int32Array {
  const next = assignments.reduce((most, cluster) => Math.max(most, cluster), NOISE) + 1;
  return assignments.map((cluster) => (cluster === NOISE ? next : cluster));
}

function matrixClusters(population: Population, assignments: Int32Array, importances: Float64Array): MatrixRowClusters {
  const k = assignments.reduce((most, cluster) => Math.max(most, cluster + 1), 0);
  const members = Array.from({ length: k }, (): number[] => []);
  for (const [row, cluster] of assignments.entries()) members[cluster]!.push(row);
  return {
    name: population.name,
    block: population.block!,
    assignments,
    clusters: members.map((rows, cluster) => figuresOf(population, { cluster, rows, importances })),
  };
}

function figuresOf(
  { outputs, density }: Population,
  {
    cluster,
    rows,
    importances,
  }: { readonly cluster: number; readonly rows: readonly number[]; readonly importances: Float64Array },
): RowClusterFigures {
  const meanOf = (values: ArrayLike<number>) => rows.reduce((sum, row) => sum + values[row]!, 0) / rows.length;
  const figures = { cluster, rows: rows.length, importance: meanOf(importances), density: meanOf(density) };
  if (outputs === undefined) return figures;
  const { mean: means, variance } = outputs;
  const mean = meanOf(means);
  // Over rows and tokens: what varies within rows, and between them.
  const between = rows.reduce((sum, row) => sum + (means[row]! - mean) ** 2, 0) / rows.length;
  return { ...figures, mean, variance: meanOf(variance) + between };
}
