import { gather, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import {
  type BlockSpec,
  type HiddenStates,
  type LinearInput,
  type LoadedBlock,
  runBlock,
  type TokenBatch,
} from '../model/index.js';
import type { Device } from '../tensor/index.js';
import { BlockEvidence, type InputEvidence } from './block-evidence.js';
import type { Collector } from './collector.js';
import { absMaximaCollector, absMeansCollector, momentsCollector, normsCollector } from './column-statistics.js';
import { gramCollector } from './gram.js';
import type { EvidenceKind } from './kinds.js';

export interface CollectOptions {
  readonly device: Device;
  readonly signal?: AbortSignal;
  /** Called after each batch. */
  readonly onBatch?: (done: number, total: number) => void;
  /** Only these inputs; all of the block's unless given. Gram matrices of many experts are collected some at a time. */
  readonly inputs?: ReadonlySet<LinearInput>;
  /** Whether the block's outputs replace its inputs in the states, which saves a second pass where the block stays as it is. */
  readonly store?: boolean;
  /**
   * Leaves out the first token of every window. Where a model parks attention on that token (an attention sink; Xiao et al.
   * 2023), its activations are hundreds of times larger than all others and decide norms, moments and Gram matrices alone.
   * Off unless set, as in the published algorithms; without effect on the inputs of single experts, which see some of the tokens.
   */
  readonly dropFirstToken?: boolean;
}

const COLLECTORS: Record<EvidenceKind, (columns: number, device: Device) => Collector> = {
  norms: normsCollector,
  moments: momentsCollector,
  'abs-means': absMeansCollector,
  'abs-maxima': absMaximaCollector,
  gram: gramCollector,
};

/** Inputs of one expert end in its number. */
const OF_AN_EXPERT = /-\d+$/;

interface Gathering {
  readonly columns: number;
  readonly collectors: readonly Collector[];
  tokens: number;
}

/**
 * Runs the calibration windows through one block as it is, once for all `kinds`, and returns what its linears' inputs are
 * like; the caller disposes it. Padding never counts. The hidden states are left as they were unless `store` is set.
 */
export async function collectEvidence(
  block: LoadedBlock,
  states: HiddenStates,
  kinds: ReadonlySet<EvidenceKind>,
  options: CollectOptions,
): Promise<BlockEvidence> {
  const { device, signal } = options;
  const gatherings = gatheringsOf(block.spec, kinds, options);
  let current = 0;
  const observe = (input: LinearInput, values: Tensor2D) => {
    const gathering = gatherings.get(input);
    if (gathering === undefined) return;
    const batch = states.batches[current]!;
    const dropped = options.dropFirstToken === true && !OF_AN_EXPERT.test(input);
    tidy(() => take(gathering, dropped ? withoutFirstTokens(values, batch) : values));
  };
  const settle = async (done: number) => {
    for (const { collectors } of gatherings.values()) for (const collector of collectors) await collector.settle();
    current = done;
  };
  try {
    await runBlock(block, states, device, {
      store: options.store ?? false,
      observe,
      wanted: new Set(gatherings.keys()),
      settle,
      ...(options.onBatch && { onBatch: options.onBatch }),
      ...(signal && { signal }),
    });
    return await evidenceOf(gatherings);
  } finally {
    for (const { collectors } of gatherings.values()) for (const collector of collectors) collector.drop();
  }
}

function gatheringsOf(
  spec: BlockSpec,
  kinds: ReadonlySet<EvidenceKind>,
  options: CollectOptions,
): Map<LinearInput, Gathering> {
  const gatherings = new Map<LinearInput, Gathering>();
  for (const { input, columns } of spec.linears) {
    if (gatherings.has(input) || options.inputs?.has(input) === false) continue;
    const collectors = [...kinds].map((kind) => COLLECTORS[kind](columns, options.device));
    gatherings.set(input, { columns, collectors, tokens: 0 });
  }
  return gatherings;
}

function take(gathering: Gathering, values: Tensor2D | undefined): void {
  if (values === undefined) return;
  gathering.tokens += values.shape[0];
  for (const collector of gathering.collectors) collector.observe(values);
}

async function evidenceOf(gatherings: ReadonlyMap<LinearInput, Gathering>): Promise<BlockEvidence> {
  const found = new Map<LinearInput, InputEvidence>();
  try {
    for (const [input, { columns, collectors, tokens }] of gatherings) {
      const evidence: InputEvidence = { tokens, columns };
      found.set(input, evidence);
      for (const collector of collectors) Object.assign(evidence, await collector.finish());
    }
    return new BlockEvidence(found);
  } catch (error) {
    new BlockEvidence(found).dispose();
    throw error;
  }
}

/** `values` are the batch's real tokens, row after row; undefined when no other tokens are among them. */
function withoutFirstTokens(values: Tensor2D, { lengths }: TokenBatch): Tensor2D | undefined {
  const kept: number[] = [];
  let first = 0;
  for (const length of lengths) {
    for (let position = 1; position < length; position += 1) kept.push(first + position);
    first += length;
  }
  if (first !== values.shape[0]) throw new RangeError(`${values.shape[0]} tokens of a batch of ${first}`);
  return kept.length === 0 ? undefined : (gather(values, Int32Array.from(kept)) as Tensor2D);
}
