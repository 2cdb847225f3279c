import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import { type BlockEvidence, collectEvidence } from '../evidence/index.js';
import { DEFAULT_MEMORY_BYTES, disposeBlock, type HiddenStates, loadBlock, type Model } from '../model/index.js';
import { calibrationStates } from '../pruning/index.js';
import type { Device } from '../tensor/index.js';

/** A channel whose largest value in the set is less than this part of that in the larger sample has been missed. */
const REACHED_PART = 0.9;

/** How far the activations of a set reach, beside those of a larger sample that the set is a part of. */
export interface RangeCoverage {
  /** Of the larger sample. */
  readonly sample: { readonly passages: number; readonly tokens: number };
  /** Mean, over all channels of all inputs, of max |x| in the set over max |x| in the sample. */
  readonly mean: number;
  /** Part of the channels that reach 0.9 of the sample's range. */
  readonly reached: number;
  /** The mean of each block, first to last. */
  readonly blocks: readonly number[];
}

export interface RangeOptions {
  readonly device: Device;
  readonly memoryBytes?: number | undefined;
  readonly report?: Report | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Passages = readonly { readonly ids: Int32Array }[];

/**
 * Runs a set, and passages besides, through a model, and compares the ranges of every channel that a linear reads: scales that are
 * made on the set clip what lies outside. One block's weights are resident.
 */
export async function rangeCoverage(
  model: Model,
  texts: { readonly set: Passages; readonly others: Passages },
  options: RangeOptions,
): Promise<RangeCoverage> {
  const { device, memoryBytes = DEFAULT_MEMORY_BYTES } = options;
  const spillFolder = await mkdtemp(path.join(tmpdir(), 'birdbone-calibrate-'));
  const states: HiddenStates[] = [];
  try {
    for (const calibration of [texts.set, texts.others]) {
      states.push(await calibrationStates({ model, device, calibration, memoryBytes: memoryBytes / 2, spillFolder }));
    }
    const blocks = await compareBlocks(model, states, options);
    const sample = [...texts.set, ...texts.others];
    const channels = blocks.flat();
    return {
      sample: { passages: sample.length, tokens: sample.reduce((sum, { ids }) => sum + ids.length, 0) },
      mean: mean(channels),
      reached: mean(channels.map((part) => (part >= REACHED_PART ? 1 : 0))),
      blocks: blocks.map(mean),
    };
  } finally {
    for (const opened of states) await opened.close();
    await rm(spillFolder, { recursive: true, force: true });
  }
}

/** Of each block, the part of the sample's range that the set reaches, channel by channel. */
async function compareBlocks(
  model: Model,
  states: readonly HiddenStates[],
  { device, report = silent, signal }: RangeOptions,
): Promise<number[][]> {
  const total = model.decoder.blocks.length;
  const blocks: number[][] = [];
  for (let index = 0; index < total; index += 1) {
    stopIfAborted(signal);
    const block = await loadBlock(model, index, device);
    const found: BlockEvidence[] = [];
    try {
      for (const each of states) {
        const options = { device, store: true, ...(signal && { signal }) };
        found.push(await collectEvidence(block, each, new Set(['abs-maxima'] as const), options));
      }
      blocks.push(await partsOf(found[0]!, found[1]!, device));
    } finally {
      for (const evidence of found) evidence.dispose();
      disposeBlock(block);
    }
    report({ type: 'progress', stage: 'describe', done: index + 1, total, unit: 'blocks' });
  }
  return blocks;
}

async function partsOf(set: BlockEvidence, others: BlockEvidence, device: Device): Promise<number[]> {
  const parts: number[] = [];
  for (const input of set.inputs) {
    const own = await device.read(set.absMaximaOf(input));
    const beside = await device.read(others.absMaximaOf(input));
    for (const [channel, range] of own.entries()) parts.push(reachedPart(range, beside[channel]!));
  }
  return parts;
}

/** 1 for a channel that is always 0. */
function reachedPart(range: number, beside: number): number {
  const widest = Math.max(range, beside);
  return widest === 0 ? 1 : range / widest;
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 1 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
