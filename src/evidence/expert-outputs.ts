import { keep, mul, type Scalar, sqrt, square, sum, type Tensor2D, tensor1d } from '@tensorflow/tfjs-core';
import { type HiddenStates, type LinearInput, type LoadedBlock, linearOf, runBlock } from '../model/index.js';
import { type Device, linear } from '../tensor/index.js';

/** What an expert adds to the residual stream over calibration text. */
export interface ExpertOutput {
  /** Tokens that went through it. */
  readonly tokens: number;
  /** Σ share · ‖expert(x)‖₂ over those tokens: how often, how much of it and how large. */
  readonly weighted: number;
}

export interface ExpertOutputOptions {
  readonly device: Device;
  readonly signal?: AbortSignal;
}

/** Inputs of an expert's way down. */
const INNER = /^ffn-inner-(\d+)$/;

/**
 * Runs the calibration windows through a block of experts and returns what each of them adds, in the order of their numbers. The
 * hidden states are left as they were. Source: Lasby et al. 2025, "REAP the Experts", whose score is the mean over the expert's own
 * tokens; a sum counts rare experts as rarely as they come.
 */
export async function collectExpertOutputs(
  block: LoadedBlock,
  states: HiddenStates,
  { device, signal }: ExpertOutputOptions,
): Promise<ExpertOutput[]> {
  const found = Array.from({ length: block.spec.experts?.count ?? 0 }, () => ({ tokens: 0, weighted: 0 }));
  const pending: { readonly expert: number; readonly sum: Scalar }[] = [];
  const drop = () => {
    for (const { sum: kept } of pending.splice(0)) kept.dispose();
  };
  const observe = (input: LinearInput, values: Tensor2D, shares?: Float32Array) => {
    const expert = Number(INNER.exec(input)?.[1] ?? Number.NaN);
    if (Number.isNaN(expert) || shares === undefined) return;
    found[expert]!.tokens += values.shape[0];
    const { weight, bias } = linearOf(block, 'down', expert)!;
    const norms = sqrt(sum(square(linear(values, weight, bias)), 1));
    pending.push({ expert, sum: keep(sum(mul(norms, tensor1d(shares)))) as Scalar });
  };
  const settle = async () => {
    try {
      for (const { expert, sum: kept } of pending) {
        found[expert]!.weighted += ((await device.read(kept)) as Float32Array)[0]!;
      }
    } finally {
      drop();
    }
  };
  try {
    await runBlock(block, states, device, { store: false, observe, settle, ...(signal && { signal }) });
  } finally {
    drop();
  }
  return found;
}
