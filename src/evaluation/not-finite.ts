import { keep, mul, type Scalar, sum } from '@tensorflow/tfjs-core';
import { readFloats } from '../checkpoint/index.js';
import type { Passage } from '../corpus/index.js';
import {
  type BlockSpec,
  disposeBlock,
  embeddedWindows,
  type HiddenStates,
  type LinearInput,
  type LoadedBlock,
  loadBlock,
  type Model,
  runBlock,
} from '../model/index.js';
import type { Device } from '../tensor/index.js';

/** Where a model's numbers stop being numbers. */
export interface NotFinite {
  /** The block whose output is not finite; absent when it is the embedding, or what follows the last block. */
  readonly block?: number;
  /** The tensor that is at fault. */
  readonly tensor: string;
  /** It holds NaN or an infinity itself; or what it makes of finite inputs is none. */
  readonly cause: 'value' | 'overflow';
}

export interface NotFiniteOptions {
  readonly device: Device;
  readonly memoryBytes: number;
  readonly spillFolder: string;
  readonly signal?: AbortSignal | undefined;
}

/** Rows of a tensor that are widened to f32 at a time. */
const ROWS_AT_ONCE = 256;

/**
 * Finds the first place at which a model that gave NaN or an infinity on these passages does so: the embedding, a block, or the
 * output layer; and in it the tensor that holds such a value, else the one whose product overflows. For telling a user what is
 * wrong: it reads the weights of a block again, and runs the block once more.
 */
export async function findNotFinite(
  model: Model,
  passages: readonly Passage[],
  options: NotFiniteOptions,
): Promise<NotFinite> {
  const { decoder } = model;
  const states = await embeddedWindows(model, passages, options);
  try {
    if (!(await areFinite(states))) return faultOf(model, [decoder.embedding, decoder.positions], decoder.embedding);
    for (const spec of decoder.blocks) {
      const block = await loadBlock(model, spec.index, options.device);
      try {
        const fault = await faultIn(block, { model, states }, options);
        if (fault !== undefined) return fault;
      } finally {
        disposeBlock(block);
      }
    }
    return faultOf(model, [decoder.finalNorm, decoder.finalNormBias, decoder.head], decoder.head);
  } finally {
    await states.close();
  }
}

async function faultIn(
  block: LoadedBlock,
  { model, states }: { readonly model: Model; readonly states: HiddenStates },
  { device, signal }: NotFiniteOptions,
): Promise<NotFinite | undefined> {
  const { spec } = block;
  const seen: { readonly input: LinearInput; readonly check: Scalar }[] = [];
  try {
    await runBlock(block, states, device, {
      store: true,
      // A sum of zeros, and NaN where a value is none: one number to read back.
      observe: (input, values) => seen.push({ input, check: keep(sum(mul(values, 0)) as Scalar) }),
      ...(signal && { signal }),
    });
    if (await areFinite(states)) return undefined;
    // An expert that no token was sent to has not been seen.
    const good = new Set(seen.map(({ input }) => input));
    for (const { input, check } of seen) if (!Number.isFinite((await device.read(check))[0])) good.delete(input);
    return { block: spec.index, ...(await faultOf(model, tensorsOf(spec), overflowing(spec, good))) };
  } finally {
    for (const { check } of seen) check.dispose();
  }
}

/** The last linear, as a forward pass goes, whose input is still finite: what it makes of that is not. */
function overflowing({ linears, vectors }: BlockSpec, good: ReadonlySet<LinearInput>): string {
  return linears.findLast(({ input }) => good.has(input))?.weight ?? vectors[0]?.tensor ?? linears[0]!.weight;
}

/** The first of these tensors that holds a value which is not finite, or else `otherwise`, as the one that overflows. */
async function faultOf(
  { checkpoint }: Model,
  tensors: readonly (string | undefined)[],
  otherwise: string,
): Promise<NotFinite> {
  for (const tensor of tensors) {
    if (tensor === undefined) continue;
    const rows = checkpoint.tensors.get(tensor)?.shape[0] ?? 0;
    for (let start = 0; start < rows; start += ROWS_AT_ONCE) {
      const values = await readFloats(checkpoint, tensor, { start, count: Math.min(ROWS_AT_ONCE, rows - start) });
      if (!values.every(Number.isFinite)) return { tensor, cause: 'value' };
    }
  }
  return { tensor: otherwise, cause: 'overflow' };
}

function tensorsOf({ linears, vectors }: BlockSpec): (string | undefined)[] {
  return [...linears.flatMap(({ weight, bias }) => [weight, bias]), ...vectors.map(({ tensor }) => tensor)];
}

async function areFinite(states: HiddenStates): Promise<boolean> {
  for (const index of states.batches.keys()) {
    if (!(await states.load(index)).every(Number.isFinite)) return false;
  }
  return true;
}
