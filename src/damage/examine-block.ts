import { stopIfAborted } from '../errors.js';
import {
  disposeBlock,
  disposeLinear,
  type LinearInput,
  type LinearSpec,
  type LoadedBlock,
  loadBlock,
  loadLinear,
  runBlock,
} from '../model/index.js';
import type { Device } from '../tensor/index.js';
import { effectOf, type KeptInputs, keepInputs } from './block-effects.js';
import { type HiddenDrift, hiddenDrift } from './hidden-drift.js';
import { type InputRows, OF_AN_EXPERT, runForInputs } from './linear-inputs.js';
import { matrixDrift } from './matrix-drift.js';
import type { ModelPair } from './model-pair.js';
import { sampleBatches, sampleTokens } from './token-sample.js';
import type { ClusterDamage, MatrixDamage } from './types.js';

export interface ExamineOptions {
  readonly device: Device;
  readonly signal: AbortSignal | undefined;
  readonly clusters: ReadonlyMap<string, Int32Array> | undefined;
  readonly memoryBytes: number;
  readonly spillFolder: string;
}

/** What was found of one block. */
export interface BlockFindings {
  readonly block: number;
  readonly hidden: HiddenDrift;
  /** What they come to at the model's output is known when all blocks are. */
  readonly matrices: readonly Omit<MatrixDamage, 'atOutput' | 'severity'>[];
  readonly clusters: readonly ClusterDamage[];
}

/** Tokens that outputs of single matrices are compared on: their Gram matrices have so many rows, 1 MB each. */
const SAMPLED_TOKENS = 512;

/** Tokens that the block is run on for each matrix: as many as error curves take (src/pruning). */
const EFFECT_TOKENS = 1024;

/** What a block's linears were fed, by both models. */
interface Fed {
  readonly dense: ReadonlyMap<LinearInput, InputRows>;
  readonly own: ReadonlyMap<LinearInput, InputRows>;
}

/** Sends both models through block `index` and compares what comes out, as a whole and matrix by matrix. */
export async function examineBlock(pair: ModelPair, index: number, options: ExamineOptions): Promise<BlockFindings> {
  const { dense, own, crossed } = pair;
  const sample = sampleTokens(dense.batches, SAMPLED_TOKENS);
  const { device, signal } = options;
  const stop = signal && { signal };
  const after = await loadBlock(pair.now, index, device);
  let ownInputs: Fed['own'];
  try {
    await runBlock(after, dense, device, { store: (i, values) => crossed.store(i, values), ...stop });
    ownInputs = await runForInputs(after, own, { device, sample, ...stop });
  } finally {
    disposeBlock(after);
  }
  const room = { memoryBytes: options.memoryBytes / 4, spillFolder: options.spillFolder };
  const kept = await keepInputs(dense, sampleBatches(dense.batches, EFFECT_TOKENS), room);
  try {
    const before = await loadBlock(pair.base, index, device);
    try {
      const fed = { dense: await runForInputs(before, dense, { device, sample, ...stop }), own: ownInputs };
      const hidden = await hiddenDrift({ dense, crossed, own }, sample, device);
      return {
        block: index,
        hidden,
        ...(await examineMatrices(pair, before, { fed, kept, isWhole: hidden.ownSquares === 0 }, options)),
      };
    } finally {
      disposeBlock(before);
    }
  } finally {
    await kept.states.close();
  }
}

async function examineMatrices(
  pair: ModelPair,
  block: LoadedBlock,
  at: Pick<At, 'fed' | 'kept' | 'isWhole'>,
  options: ExamineOptions,
): Promise<Pick<BlockFindings, 'matrices' | 'clusters'>> {
  const matrices: BlockFindings['matrices'][number][] = [];
  const clusters: ClusterDamage[] = [];
  const counterparts = pair.now.decoder.blocks[block.spec.index]!.linears;
  for (const spec of block.spec.linears) {
    stopIfAborted(options.signal);
    const place = { block: block.spec.index, weight: spec.weight };
    const counterpart = counterparts.find(({ role, expert }) => role === spec.role && expert === spec.expert);
    const found =
      counterpart === undefined || !isAlike(spec, counterpart)
        ? { own: null, total: null, effect: null, clusters: [] }
        : await examineMatrix({ pair, block, ...at }, { spec, counterpart }, options);
    const { clusters: ofRows, ...figures } = found;
    const { role, expert, rows, columns } = spec;
    matrices.push({ ...place, role, ...(expert !== undefined && { expert }), rows, columns, ...figures });
    clusters.push(...ofRows.map((cluster) => ({ ...place, ...cluster })));
  }
  return { matrices, clusters };
}

function isAlike(left: LinearSpec, right: LinearSpec): boolean {
  return left.rows === right.rows && left.columns === right.columns && left.input === right.input;
}

interface At {
  readonly pair: ModelPair;
  readonly block: LoadedBlock;
  readonly fed: Fed;
  readonly kept: KeptInputs;
  /** The compressed block gives what the dense one does, to the bit: there is no effect to look for. */
  readonly isWhole: boolean;
}

async function examineMatrix(
  { pair, block, fed, kept, isWhole }: At,
  { spec, counterpart }: { readonly spec: LinearSpec; readonly counterpart: LinearSpec },
  { device, signal, clusters }: ExamineOptions,
) {
  const before = block.linears.get(spec.weight)!;
  const after = await loadLinear(pair.now.checkpoint, counterpart, device);
  try {
    const dense = fed.dense.get(spec.input);
    // To an expert other tokens may be sent than in the dense model.
    const own = OF_AN_EXPERT.test(spec.input) ? undefined : fed.own.get(spec.input);
    const alone = { ...after, spec };
    const options = { device, ...(signal && { signal }) };
    const effect = isWhole ? 0 : await effectOf(block, alone, { inputs: kept, outputs: pair.dense }, options);
    if (dense === undefined) return { own: null, total: null, effect, clusters: [] };
    return { ...(await matrixDrift({ before, after, dense, own }, clusters?.get(spec.weight), device)), effect };
  } finally {
    disposeLinear(after);
  }
}
