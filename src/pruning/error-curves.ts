import { dispose, mul, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { createHiddenStates, type HiddenStates, type LoadedBlock, realPositions, runBlock } from '../model/index.js';
import type { FreePattern, Mask } from '../sparsity/index.js';
import type { Device } from '../tensor/index.js';
import type { EditContext } from './edit.js';
import { passWanda } from './wanda-pass.js';

/** Tokens that output errors are measured on: enough to tell matrices apart, few enough to run each block for each level. */
const ERROR_TOKENS = 1024;

/**
 * Of each matrix ‖y_s − y‖² / ‖y‖² for every sparsity s of `levels`, y being what its block gives for tokens of the calibration
 * text, and y_s the same with only that matrix at that sparsity. In the hidden states the errors of all matrices have one scale.
 */
export async function errorCurves(
  levels: readonly number[],
  { pattern, compare }: { readonly pattern: FreePattern; readonly compare: 'row' | 'layer' },
  context: EditContext,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const { device, signal } = context;
  const stop = signal && { signal };
  const curves = new Map<string, readonly number[]>();
  await passWanda(context, async ({ block, states, linears, score }) => {
    const inputs = await firstTokens(states, ERROR_TOKENS, context);
    try {
      const whole = await outputs(block, inputs, { device, ...stop });
      for (const spec of linears) {
        const scores = await score(spec);
        const curve: number[] = [];
        for (const sparsity of levels) {
          const mask = pattern.mask(scores, { sparsity, compare });
          const pruned = withMask(block, { name: spec.weight, mask }, device);
          try {
            curve.push(relativeError(await outputs(pruned, inputs, { device, ...stop }), whole, inputs));
          } finally {
            dispose([...pruned.linears.get(spec.weight)!.weight.parts]);
          }
        }
        curves.set(spec.weight, curve);
      }
    } finally {
      await inputs.close();
    }
  });
  return curves;
}

/** Batches evenly spread over the states, about so many tokens. */
async function firstTokens(states: HiddenStates, tokens: number, context: EditContext): Promise<HiddenStates> {
  const total = states.batches.reduce((sum, { ids }) => sum + ids.length, 0);
  const every = Math.max(1, Math.floor(total / tokens));
  const chosen = states.batches.flatMap((batch, i) => (i % every === 0 ? [{ batch, i }] : []));
  const some = await createHiddenStates(
    chosen.map(({ batch }) => batch),
    states.hiddenSize,
    context,
  );
  for (const [k, { i }] of chosen.entries()) await some.store(k, await states.load(i));
  return some;
}

/** What the block gives for each batch. */
async function outputs(
  block: LoadedBlock,
  inputs: HiddenStates,
  { device, signal }: { readonly device: Device; readonly signal?: AbortSignal },
): Promise<Float32Array[]> {
  const found: Float32Array[] = [];
  const store = async (i: number, values: Float32Array) => {
    found[i] = values;
  };
  await runBlock(block, inputs, device, { store, ...(signal && { signal }) });
  return found;
}

/** The block with one of its matrices masked; that matrix is the caller's to dispose. */
function withMask(
  block: LoadedBlock,
  { name, mask }: { readonly name: string; readonly mask: Mask },
  device: Device,
): LoadedBlock {
  const linear = block.linears.get(name)!;
  let first = 0;
  const parts = linear.weight.parts.map((part) => {
    const kept = keptAt(mask.bits, first, part.size);
    first += part.size;
    return tidy((): Tensor => mul(part, device.upload(kept, part.shape)));
  });
  const linears = new Map(block.linears).set(name, { ...linear, weight: { ...linear.weight, parts } });
  return { ...block, linears };
}

/** 1 where the mask keeps, of `count` weights from `first` on. */
function keptAt(bits: Uint8Array, first: number, count: number): Float32Array {
  const kept = new Float32Array(count);
  for (let i = 0; i < count; i += 1) kept[i] = (bits[Math.floor((first + i) / 8)]! >>> ((first + i) % 8)) & 1;
  return kept;
}

function relativeError(
  found: readonly Float32Array[],
  whole: readonly Float32Array[],
  { batches, hiddenSize }: HiddenStates,
): number {
  let [error, energy] = [0, 0];
  for (const [i, batch] of batches.entries()) {
    for (const position of realPositions(batch)) {
      for (let k = position * hiddenSize; k < (position + 1) * hiddenSize; k += 1) {
        error += (found[i]![k]! - whole[i]![k]!) ** 2;
        energy += whole[i]![k]! ** 2;
      }
    }
  }
  return energy === 0 ? 0 : error / energy;
}
