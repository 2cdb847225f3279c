import { clone, reshape, sqrt, square, sum, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { type HiddenStates, type LinearInput, type LoadedBlock, runBlock } from '../model/index.js';
import { type Device, linear } from '../tensor/index.js';
import { type OutputEvidence, OutputSums } from './output-sums.js';

/** Neurons of a block, by how their outputs come about. */
export type OutputTap =
  /** The outputs are what linears with this input read, a column a neuron. */
  | { readonly kind: 'columns'; readonly input: LinearInput; readonly neurons: number }
  /** As `columns`, but a neuron's amount is the norm of as many columns in a row as there are for each. */
  | { readonly kind: 'norms'; readonly input: LinearInput; readonly neurons: number }
  /** The output rows of this weight. */
  | { readonly kind: 'rows'; readonly weight: string };

export interface OutputOptions {
  readonly device: Device;
  /** Of the sketches; the same seed gives sketches that can be compared between blocks. */
  readonly seed: number;
  /** Whether the block's outputs replace its inputs in the states. */
  readonly store: boolean;
  readonly signal?: AbortSignal;
}

/** How a tap gets its outputs [tokens, neurons] from an input [tokens, columns]. */
interface Reading {
  readonly name: string;
  readonly input: LinearInput;
  readonly neurons: number;
  outputs(values: Tensor2D): Tensor2D;
}

/**
 * Runs the windows through one block as it is and returns what each tap's neurons give, tap by tap; one batch's outputs are there
 * at a time. Padding never counts. Throws `unsupported` for outputs that are not finite.
 */
export async function collectOutputs(
  block: LoadedBlock,
  states: HiddenStates,
  taps: readonly OutputTap[],
  { device, seed, store, signal }: OutputOptions,
): Promise<OutputEvidence[]> {
  const gathered = taps.map((tap) => {
    const reading = readingOf(tap, block);
    return { reading, sums: new OutputSums(reading.neurons, device, seed) };
  });
  const observe = (input: LinearInput, values: Tensor2D) => {
    for (const { reading, sums } of gathered) {
      // A tidy of its own frees what the outputs were made from before the next tap's come.
      if (reading.input === input) tidy(() => sums.observe(reading.outputs(values)));
    }
  };
  const settle = async () => {
    for (const { sums } of gathered) await sums.settle();
  };
  try {
    await runBlock(block, states, device, { store, observe, settle, ...(signal && { signal }) });
  } finally {
    for (const { sums } of gathered) sums.drop();
  }
  return gathered.map(({ reading, sums }) => sums.finish(reading.name));
}

function readingOf(tap: OutputTap, block: LoadedBlock): Reading {
  if (tap.kind === 'rows') {
    const { spec, weight, bias } = block.linears.get(tap.weight)!;
    const { input, rows: neurons } = spec;
    return { name: tap.weight, input, neurons, outputs: (values) => linear(values, weight, bias) };
  }
  const { input, neurons } = tap;
  const name = `${input} of block ${block.spec.index}`;
  if (tap.kind === 'columns') return { name, input, neurons, outputs: (values) => clone(values) };
  return {
    name,
    input,
    neurons,
    outputs: (values) => {
      const [tokens, columns] = values.shape;
      return sqrt(sum(square(reshape(values, [tokens, neurons, columns / neurons])), 2));
    },
  };
}
