import { collectEvidence } from '../evidence/index.js';
import {
  disposeBlock,
  type HiddenStates,
  type LinearInput,
  type LinearSpec,
  loadBlock,
  type Model,
} from '../model/index.js';
import { type PlateGraph, Protections, protectOutliers } from '../plates/index.js';
import type { Compensation, InputStatistics, WidthKind } from '../shedding/index.js';
import type { Gram } from '../solvers/index.js';
import type { EditContext } from './edit.js';

/** Plates whose removal takes columns of one linear: all groups of an attention, all channels of one network. */
export interface Consumer {
  readonly kind: WidthKind;
  readonly spec: LinearSpec;
  /** Index of the first of these plates, among the block's of the kind. */
  readonly first: number;
  /** Columns of each plate. */
  readonly sets: readonly Int32Array[];
}

/** The linears whose columns the plates of a kind take. */
export function consumersOf(graph: PlateGraph, index: number, kind: WidthKind): Consumer[] {
  const { linears } = graph.decoder.blocks[index]!;
  const { attention } = graph.blocks[index]!;
  if (kind === 'kv-group') {
    const spec = linears.find(({ role }) => role === 'o');
    if (attention === undefined || spec === undefined) return [];
    return [{ kind, spec, first: 0, sets: evenSets(attention.kvHeads, spec.columns / attention.kvHeads) }];
  }
  const networks = linears.filter(({ role }) => role === 'down');
  const families = graph.families('ffn-channel', index);
  return networks.map((spec, at) => {
    return { kind, spec, first: families[at]!.start, sets: evenSets(spec.columns, 1) };
  });
}

function evenSets(count: number, columns: number): Int32Array[] {
  return Array.from({ length: count }, (_, set) => Int32Array.from({ length: columns }, (__, i) => set * columns + i));
}

interface BlockInputs {
  readonly index: number;
  readonly consumers: readonly Consumer[];
  readonly compensation: Compensation;
}

/** What calibration shows of each consumer's input: its Gram matrix and, where a bias is to stand for them, its means. */
export async function statisticsOf(
  model: Model,
  { index, consumers, compensation }: BlockInputs,
  states: HiddenStates,
  { device, signal }: EditContext,
): Promise<Map<LinearInput, InputStatistics>> {
  const inputs = new Set(consumers.map(({ spec }) => spec.input));
  const isBiased = compensation === 'flap';
  const kinds = new Set(isBiased ? (['gram', 'moments'] as const) : (['gram'] as const));
  const block = await loadBlock(model, index, device);
  try {
    const evidence = await collectEvidence(block, states, kinds, { device, inputs, ...(signal && { signal }) });
    try {
      const found = new Map<LinearInput, InputStatistics>();
      for (const input of inputs) {
        const means = isBiased ? ((await device.read(evidence.momentsOf(input).mean)) as Float32Array) : undefined;
        const tokens = evidence.tokensOf(input);
        found.set(input, { gram: evidence.takeGram(input), tokens, ...(means && { means }) });
      }
      return found;
    } finally {
      evidence.dispose();
    }
  } finally {
    disposeBlock(block);
  }
}

/** Channels or groups whose activations stand out of all others. */
export function outliersOf(
  { kind, first, sets }: Consumer,
  { index, gram }: { readonly index: number; readonly gram: Gram },
): Protections {
  const norms = Float64Array.from(sets, (set) =>
    Math.sqrt(set.reduce((sum, column) => sum + gram.values[column * gram.columns + column]!, 0)),
  );
  const range = { kind, block: index, start: first, count: sets.length };
  return new Protections(protectOutliers({ range, norms, where: `block ${index}` }));
}
