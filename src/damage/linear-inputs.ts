import { gather, keep, type Tensor2D } from '@tensorflow/tfjs-core';
import { type HiddenStates, type LinearInput, type LoadedBlock, runBlock } from '../model/index.js';
import type { Device } from '../tensor/index.js';

/** What went into a linear for some tokens: [count, columns] row-major. */
export interface InputRows {
  readonly values: Float32Array;
  readonly count: number;
  readonly columns: number;
}

export interface InputOptions {
  readonly device: Device;
  readonly signal?: AbortSignal | undefined;
  /** Ordinals of real tokens of each batch; of an expert's own tokens as many, evenly spread. */
  readonly sample: readonly Int32Array[];
}

/** Inputs of one expert end in its number. */
export const OF_AN_EXPERT = /-\d+$/;

/** Sends all batches through the block, whose outputs replace its inputs in the states, and returns what its linears were fed. */
export async function runForInputs(
  block: LoadedBlock,
  states: HiddenStates,
  { device, signal, sample }: InputOptions,
): Promise<ReadonlyMap<LinearInput, InputRows>> {
  const pieces = new Map<LinearInput, Float32Array[]>();
  const kept: { input: LinearInput; rows: Tensor2D }[] = [];
  let batch = 0;
  const observe = (input: LinearInput, values: Tensor2D) => {
    const wanted = sample[batch]!;
    const chosen = OF_AN_EXPERT.test(input) ? spread(values.shape[0], wanted.length) : wanted;
    if (chosen.length > 0) kept.push({ input, rows: keep(gather(values, chosen)) as Tensor2D });
  };
  const settle = async (done: number) => {
    for (const { input, rows } of kept) {
      const found = (await device.read(rows)) as Float32Array;
      pieces.set(input, [...(pieces.get(input) ?? []), found]);
    }
    dropAll(kept);
    batch = done;
  };
  try {
    await runBlock(block, states, device, { store: true, observe, settle, ...(signal && { signal }) });
  } finally {
    dropAll(kept);
  }
  return new Map([...pieces].map(([input, found]) => [input, joined(found, columnsOf(block, input))]));
}

function dropAll(kept: { readonly rows: Tensor2D }[]): void {
  for (const { rows } of kept.splice(0)) rows.dispose();
}

function columnsOf({ spec }: LoadedBlock, input: LinearInput): number {
  return spec.linears.find((linear) => linear.input === input)!.columns;
}

/** `wanted` ordinals below `count`, evenly spread, or all. */
function spread(count: number, wanted: number): Int32Array {
  const taken = Math.min(count, wanted);
  return Int32Array.from({ length: taken }, (_, k) => Math.floor(((k + 0.5) * count) / taken));
}

function joined(pieces: readonly Float32Array[], columns: number): InputRows {
  const values = new Float32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    values.set(piece, at);
    at += piece.length;
  }
  return { values, count: values.length / columns, columns };
}
