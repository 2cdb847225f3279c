import {
  createHiddenStates,
  type HiddenStates,
  type LoadedBlock,
  type LoadedLinear,
  realPositions,
  runBlock,
} from '../model/index.js';
import type { Device } from '../tensor/index.js';

export interface EffectOptions {
  readonly device: Device;
  readonly signal?: AbortSignal | undefined;
}

/** Some batches' inputs of a block, kept while all batches go through it; `batches` are their numbers among all. */
export interface KeptInputs {
  readonly states: HiddenStates;
  readonly batches: readonly number[];
}

/** Copies the inputs of these batches. The caller closes the states. */
export async function keepInputs(
  states: HiddenStates,
  batches: readonly number[],
  options: { readonly memoryBytes: number; readonly spillFolder: string },
): Promise<KeptInputs> {
  const own = batches.map((i) => states.batches[i]!);
  const kept = await createHiddenStates(own, states.hiddenSize, options);
  try {
    for (const [k, i] of batches.entries()) await kept.store(k, Float32Array.from(await states.load(i)));
    return { states: kept, batches };
  } catch (error) {
    await kept.close();
    throw error;
  }
}

/**
 * ‖B_m(x) − B(x)‖ / ‖B(x)‖, B_m being the block with only this linear in the place of its own: what the linear does to the block's
 * output. In the hidden states the effects of all matrices have one scale. `outputs` holds B(x) of all batches.
 */
export async function effectOf(
  block: LoadedBlock,
  linear: LoadedLinear,
  { inputs, outputs }: { readonly inputs: KeptInputs; readonly outputs: HiddenStates },
  { device, signal }: EffectOptions,
): Promise<number> {
  const linears = new Map(block.linears).set(linear.spec.weight, linear);
  let [error, size] = [0, 0];
  const compare = async (k: number, values: Float32Array) => {
    const i = inputs.batches[k]!;
    const dense = await outputs.load(i);
    const width = outputs.hiddenSize;
    for (const position of realPositions(outputs.batches[i]!)) {
      for (let at = position * width; at < (position + 1) * width; at += 1) {
        error += (values[at]! - dense[at]!) ** 2;
        size += dense[at]! ** 2;
      }
    }
  };
  await runBlock({ ...block, linears }, inputs.states, device, { store: compare, ...(signal && { signal }) });
  if (error === 0) return 0;
  return size === 0 ? 1 : Math.sqrt(error / size);
}
