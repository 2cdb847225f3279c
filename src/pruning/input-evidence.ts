import type { Tensor1D } from '@tensorflow/tfjs-core';
import { type BlockEvidence, collectEvidence, type EvidenceKind, type Gram } from '../evidence/index.js';
import type { ImportanceMetric } from '../importance/index.js';
import type { HiddenStates, LinearInput, LinearSpec, LoadedBlock } from '../model/index.js';
import { inverseDiagonal } from '../solvers/index.js';
import type { Device } from '../tensor/index.js';
import type { EditContext } from './edit.js';
import { inputGroups } from './input-groups.js';

/** What is known of one input's columns, on the host; the fields of `Evidence` of the same name. */
export interface ColumnEvidence {
  readonly inputNorms?: Float32Array;
  readonly inputMeans?: Float32Array;
  readonly inputVariances?: Float32Array;
  readonly inputAbsMeans?: Float32Array;
  readonly inverseHessianDiagonal?: Float32Array;
}

/** By input: q, k and v share what is known of theirs, as gate and up do. */
export type InputEvidence = ReadonlyMap<LinearInput, ColumnEvidence>;

type Needs = ImportanceMetric['needs'];
type Pass = Pick<EditContext, 'device' | 'report' | 'signal'>;

/**
 * Runs the calibration windows through one block as it is and returns what metrics with these `needs` look at in its linears'
 * inputs. The hidden states are left as they were. Throws `unsupported` for inputs that are not finite.
 */
export async function inputEvidence(
  needs: Needs,
  block: LoadedBlock,
  states: HiddenStates,
  context: Pass,
): Promise<InputEvidence> {
  const kinds = new Set(needs.filter(isForward));
  const columns = kinds.size > 0 ? await columnStatistics(kinds, block, states, context) : new Map();
  if (!needs.includes('inverse-hessian')) return columns;
  const diagonals = await inverseHessians(block, states, context);
  return new Map(
    [...diagonals].map(([input, inverseHessianDiagonal]) => [input, { ...columns.get(input), inverseHessianDiagonal }]),
  );
}

/** Whether a metric with these needs looks at a block's inputs, as opposed to gradients or weights alone. */
export function readsInputs(needs: Needs): boolean {
  return needs.some((kind) => isForward(kind) || kind === 'inverse-hessian');
}

const FORWARD = ['norms', 'moments', 'abs-means'] as const satisfies readonly EvidenceKind[];
type Forward = (typeof FORWARD)[number];

function isForward(kind: Needs[number]): kind is Forward {
  return (FORWARD as readonly string[]).includes(kind);
}

async function columnStatistics(
  kinds: ReadonlySet<Forward>,
  block: LoadedBlock,
  states: HiddenStates,
  { device, signal }: Pass,
): Promise<Map<LinearInput, ColumnEvidence>> {
  const evidence = await collectEvidence(block, states, kinds, { device, ...(signal && { signal }) });
  try {
    const columns = new Map<LinearInput, ColumnEvidence>();
    for (const input of evidence.inputs) columns.set(input, await readColumns(evidence, kinds, input, device));
    return columns;
  } finally {
    evidence.dispose();
  }
}

async function readColumns(
  evidence: BlockEvidence,
  kinds: ReadonlySet<Forward>,
  input: LinearInput,
  device: Device,
): Promise<ColumnEvidence> {
  const read = async (tensor: Tensor1D) => (await device.read(tensor)) as Float32Array;
  const moments = kinds.has('moments') ? evidence.momentsOf(input) : undefined;
  return {
    ...(kinds.has('norms') && { inputNorms: await read(evidence.normsOf(input)) }),
    ...(kinds.has('abs-means') && { inputAbsMeans: await read(evidence.absMeansOf(input)) }),
    ...(moments && { inputMeans: await read(moments.mean), inputVariances: await read(moments.variance) }),
  };
}

/** A Gram matrix is inverted once for all linears that share its input, and is gone before those of the next pass come. */
async function inverseHessians(
  block: LoadedBlock,
  states: HiddenStates,
  { device, report, signal }: Pass,
): Promise<Map<LinearInput, Float32Array>> {
  const { linears } = block.spec;
  const diagonals = new Map<LinearInput, Float32Array>();
  for (const inputs of inputGroups(linears)) {
    const options = { device, inputs, ...(signal && { signal }) };
    const evidence = await collectEvidence(block, states, new Set(['gram'] as const), options);
    try {
      for (const input of inputs) {
        const name = namesOf(linears, input);
        diagonals.set(input, await inverseHessian(evidence.takeGram(input), { name, device, report }));
      }
    } finally {
      evidence.dispose();
    }
  }
  return diagonals;
}

function namesOf(linears: readonly LinearSpec[], input: LinearInput): string {
  const sharing = linears.filter((spec) => spec.input === input);
  return sharing.map(({ weight }) => weight).join(', ');
}

/**
 * The diagonal of H⁻¹ for H = (2/T) (Σ x xᵀ + damping), and 0 for inputs that were never anything else. When the factorization
 * fails, the damping grows; when that does not help either, `report` says so and each input counts by itself.
 */
async function inverseHessian(
  gram: Gram,
  { name, device, report }: { readonly name: string; readonly device: Device } & Pick<EditContext, 'report'>,
): Promise<Float32Array> {
  const { columns, tokens, values } = gram;
  // The Gram matrix is overwritten below.
  const dead = Array.from({ length: columns }, (_, j) => values[j * columns + j] === 0);
  const diagonal = await inverseDiagonal(gram, { overwrite: true, name, device, report });
  return Float32Array.from(diagonal, (value, j) => (dead[j] ? 0 : (value * tokens) / 2));
}
