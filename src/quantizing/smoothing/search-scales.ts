import { stopIfAborted } from '../../errors.js';
import { collectEvidence } from '../../evidence/index.js';
import type { LinearInput } from '../../model/index.js';
import { dequantizeMatrix, quantizeMatrix } from '../../quantization/index.js';
import { outputError } from '../../solvers/index.js';
import type { BlockWork, QuantizeContext, QuantizerOptions, QuantizeTarget } from '../quantizer.js';
import { revisedBlock } from '../revised-block.js';
import { readWeight } from '../stored-order.js';
import { scaleColumns } from './block-scales.js';
import type { SmoothGroup } from './groups.js';
import { HalfJudge } from './half-judge.js';
import { relativeWeights, scaleCandidates } from './scale-search.js';

/** The scales that an input's search ended with. */
export interface FoundScales {
  readonly scales: Float32Array;
  /** Exponent r of s = x^r / w^(1 − r); undefined where no scales did better than these. */
  readonly ratio: number | undefined;
  /** The output error over that without scales; 1 where that is 0. */
  readonly errorRatio: number;
}

type Reader = QuantizeTarget & { readonly values: Float32Array };
/** The error of the block with these weights. */
type Judge = (rounded: ReadonlyMap<string, Float32Array>) => Promise<number>;

interface Search {
  readonly work: BlockWork;
  readonly options: QuantizerOptions;
  readonly context: QuantizeContext;
}

/** AWQ's search for every group, each on the block as it is, by the error that rounding with the scales makes. In the groups' order. */
export async function searchScales(
  groups: readonly SmoothGroup[],
  work: BlockWork,
  options: QuantizerOptions,
  context: QuantizeContext,
): Promise<readonly FoundScales[]> {
  const found: FoundScales[] = [];
  const absMeans = await collectAbsMeans(groups, work, context);
  for (const group of groups) {
    const readers = await Promise.all(group.readers.map((spec) => withValues(spec, work, context)));
    const search: Search = { work, options, context };
    found.push(
      await withJudge(group, readers, search, (judge) => best(readers, absMeans.get(group.input)!, judge, search)),
    );
  }
  return found;
}

async function withValues(
  spec: SmoothGroup['readers'][number],
  { targets }: BlockWork,
  { model }: QuantizeContext,
): Promise<Reader> {
  const target = targets.find((each) => each.spec.weight === spec.weight)!;
  return { ...target, values: await readWeight(model.checkpoint, spec) };
}

async function best(
  readers: readonly Reader[],
  absMeans: Float32Array,
  judge: Judge,
  { options: { search = 'absmax' }, context: { signal } }: Search,
): Promise<FoundScales> {
  let plain: number | undefined;
  let least: { error: number; scales: Float32Array; ratio: number | undefined } | undefined;
  for (const { scales, ratio } of scaleCandidates(absMeans, relativeWeights(readers))) {
    stopIfAborted(signal);
    const rounded = new Map(readers.map((reader) => [reader.spec.weight, roundedWith(reader, scales, search)]));
    const error = await judge(rounded);
    plain ??= error;
    if (least === undefined || error < least.error) least = { error, scales, ratio };
  }
  return { scales: least!.scales, ratio: least!.ratio, errorRatio: plain === 0 ? 1 : least!.error / plain! };
}

/** Q(W s) / s. */
function roundedWith(
  { spec: { rows, columns }, scheme, values }: Reader,
  scales: Float32Array,
  search: NonNullable<QuantizerOptions['search']>,
): Float32Array {
  const scaled = values.slice();
  scaleColumns(scaled, scales);
  const rounded = dequantizeMatrix(quantizeMatrix(scaled, rows, columns, scheme, { search }));
  for (let i = 0; i < rounded.length; i += 1) rounded[i]! /= scales[i % columns]!;
  return rounded;
}

/** Readers that decide a half's output together are judged by it, a half's last linear by its own: all from its Gram matrix. */
async function withJudge<Found>(
  group: SmoothGroup,
  readers: readonly Reader[],
  { work, context }: Search,
  use: (judge: Judge) => Promise<Found>,
): Promise<Found> {
  const { device, signal } = context;
  const { block, states } = work.text!;
  const options = { device, ...(signal && { signal }) };
  if (group.half === undefined) {
    const inputs = new Set([group.input]);
    const evidence = await collectEvidence(block, states, new Set(['gram'] as const), { ...options, inputs });
    const gram = evidence.takeGram(group.input);
    const { spec, values } = readers[0]!;
    return use((rounded) => {
      const change = rounded.get(spec.weight)!.map((value, i) => value - values[i]!);
      return outputError({ values: change, rows: spec.rows, columns: spec.columns }, gram, device);
    });
  }
  const half = await HalfJudge.open(block, states, group.half, options);
  try {
    return await use(async (rounded) => {
      const revised = revisedBlock(block, rounded, device);
      try {
        return await half.errorOf(revised.block);
      } finally {
        revised.dispose();
      }
    });
  } finally {
    half.dispose();
  }
}

async function collectAbsMeans(
  groups: readonly SmoothGroup[],
  { text }: BlockWork,
  { device, signal }: QuantizeContext,
): Promise<ReadonlyMap<LinearInput, Float32Array>> {
  const inputs = new Set(groups.map(({ input }) => input));
  const { block, states } = text!;
  const found = new Map<LinearInput, Float32Array>();
  if (inputs.size === 0) return found;
  const options = { device, inputs, ...(signal && { signal }) };
  const evidence = await collectEvidence(block, states, new Set(['abs-means'] as const), options);
  try {
    for (const input of inputs) found.set(input, (await device.read(evidence.absMeansOf(input))) as Float32Array);
  } finally {
    evidence.dispose();
  }
  return found;
}
