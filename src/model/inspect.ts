import { type Checkpoint, chunksOf, openCheckpoint, type TensorInfo } from '../checkpoint/index.js';
import type { CodedView } from '../coding/index.js';
import { BirdboneError, stopIfAborted } from '../errors.js';
import type { Report } from '../events.js';
import { countZeros, type Dtype } from '../tensor/index.js';
import type { HuggingFaceView } from '../translation/index.js';
import type { Decoder } from './decoder.js';
import { openModel } from './model.js';

/** One stored tensor and how much of it is zero. */
export interface InspectedTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** Fraction of zeros; absent when the weights were not read, or are smaller than a byte each. */
  readonly sparsity?: number;
}

/** What a checkpoint is. */
export interface Inspection {
  readonly path: string;
  readonly format: string;
  /** Absent for a checkpoint whose config.json no architecture here understands; `refusal` says why. */
  readonly architecture?: Omit<Decoder, 'blocks'> & { readonly blocks: number };
  readonly refusal?: string;
  /** Elements of all weights, quantized ones as they are meant. A tied tensor is stored, and counted, once. */
  readonly parameters: number;
  readonly bytes: number;
  /** Stored bits for each parameter, the scales of block types included; absent when there are none. */
  readonly bitsPerWeight?: number;
  readonly dtypes: Readonly<Record<string, { tensors: number; parameters: number; bytes: number }>>;
  /** Alias → the stored tensor that it is. */
  readonly tied: Readonly<Record<string, string>>;
  /** Fraction of zeros over all elements that were counted. */
  readonly sparsity?: number;
  /** Fraction of zeros over the linear weights of each block, in order; what pruning raises. */
  readonly blockSparsity?: readonly number[];
  /** What is odd about the file and changes no value. */
  readonly notices: readonly string[];
  readonly tensors: readonly InspectedTensor[];
}

/** How much to read, and who is told. */
export interface InspectOptions {
  /** Read the headers only, and leave sparsity out. */
  readonly headersOnly?: boolean;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** What a checkpoint is and how much of it is zero. Reads every weight once, a chunk at a time. */
export async function inspectModel(path: string, options: InspectOptions = {}): Promise<Inspection> {
  const { checkpoint, dense = checkpoint, decoder, storedName, refusal, notices = [] } = await openAnything(path);
  try {
    const zeros = options.headersOnly ? undefined : await countAllZeros(dense, options);
    const infos = [...checkpoint.tensors.values()];
    const weights = [...dense.tensors.values()];
    const bytes = sum(infos.map((info) => info.byteLength));
    return {
      path: checkpoint.path,
      format: checkpoint.format,
      ...(decoder && { architecture: { ...decoder, blocks: decoder.blocks.length } }),
      ...(refusal !== undefined && { refusal }),
      parameters: sum(weights.map(elementsOf)),
      bytes,
      ...bitsPerWeight(weights, bytes),
      dtypes: byDtype(infos),
      tied: tiesOf(checkpoint, decoder, storedName),
      ...(zeros && { sparsity: fraction(weights, zeros) }),
      ...(zeros &&
        decoder && {
          blockSparsity: blockSparsity(decoder, (name) => dense.tensors.get(storedName(name))!, zeros),
        }),
      notices: [...new Set([...(checkpoint.notices ?? []), ...notices])],
      tensors: infos.map((info) => ({
        name: info.name,
        dtype: info.dtype,
        shape: info.shape,
        bytes: info.byteLength,
        ...(isShown(dense, info) && zeros?.has(info.name) && { sparsity: fraction([info], zeros) }),
      })),
    };
  } finally {
    await checkpoint.close();
    if (dense !== checkpoint) await dense.close();
  }
}

/** Whether a stored tensor is a weight of the same shape, and not one of the parts of a quantized one. */
function isShown(dense: Checkpoint, { name, shape }: TensorInfo): boolean {
  return dense.tensors.get(name)?.shape.join() === shape.join();
}

interface Opened {
  /** As the file has it: its own names and types. */
  readonly checkpoint: Checkpoint;
  /** The same with quantized weights as dense ones; absent where there are none. */
  readonly dense?: Checkpoint;
  readonly decoder?: Decoder;
  readonly refusal?: string;
  /** What is to be known of it as a model. */
  readonly notices?: readonly string[];
  /** Under which name the file has a tensor that the decoder names; a GGUF has names of its own. */
  readonly storedName: (name: string) => string;
}

/** A checkpoint of an architecture that cannot be run can still be looked at. */
async function openAnything(path: string): Promise<Opened> {
  const checkpoint = await openCheckpoint(path);
  const aliased = (name: string) => checkpoint.aliases.get(name) ?? name;
  try {
    const model = await openModel(path);
    const { storedNames, coded, notices = [] } = model.checkpoint as Checkpoint & Partial<HuggingFaceView & CodedView>;
    const storedName = (name: string) => storedNames?.get(name) ?? aliased(name);
    const seen = { decoder: model.decoder, storedName, notices };
    if (coded !== undefined) return { checkpoint, dense: model.checkpoint, ...seen };
    await model.checkpoint.close();
    return { checkpoint, ...seen };
  } catch (error) {
    // The checkpoint itself opened, so what is wrong is with config.json, or with what it says of the tensors.
    if (error instanceof BirdboneError) return { checkpoint, refusal: error.message, storedName: aliased };
    await checkpoint.close();
    throw error;
  }
}

async function countAllZeros(checkpoint: Checkpoint, options: InspectOptions): Promise<Map<string, number>> {
  const zeros = new Map<string, number>();
  const total = sum([...checkpoint.tensors.values()].map((info) => info.byteLength));
  let done = 0;
  for (const info of checkpoint.tensors.values()) {
    for await (const chunk of chunksOf(checkpoint, info.name)) {
      stopIfAborted(options.signal);
      const count = countZeros(chunk, info.dtype);
      if (count !== undefined) zeros.set(info.name, (zeros.get(info.name) ?? 0) + count);
      done += chunk.length;
      options.report?.({ type: 'progress', stage: 'read', done, total, unit: 'bytes' });
    }
  }
  return zeros;
}

function elementsOf({ shape }: TensorInfo): number {
  return shape.reduce((product, size) => product * size, 1);
}

function fraction(infos: readonly TensorInfo[], zeros: ReadonlyMap<string, number>): number {
  const counted = infos.filter((info) => zeros.has(info.name));
  const elements = sum(counted.map(elementsOf));
  return elements === 0 ? 0 : sum(counted.map((info) => zeros.get(info.name) ?? 0)) / elements;
}

function blockSparsity(
  decoder: Decoder,
  stored: (name: string) => TensorInfo,
  zeros: ReadonlyMap<string, number>,
): number[] {
  return decoder.blocks.map(({ linears }) =>
    fraction(
      linears.map(({ weight }) => stored(weight)),
      zeros,
    ),
  );
}

function bitsPerWeight(weights: readonly TensorInfo[], bytes: number): { bitsPerWeight?: number } {
  const parameters = sum(weights.map(elementsOf));
  return parameters === 0 ? {} : { bitsPerWeight: (8 * bytes) / parameters };
}

function byDtype(infos: readonly TensorInfo[]): Inspection['dtypes'] {
  const table: Record<string, { tensors: number; parameters: number; bytes: number }> = {};
  for (const info of infos) {
    const row = table[info.dtype] ?? { tensors: 0, parameters: 0, bytes: 0 };
    table[info.dtype] = {
      tensors: row.tensors + 1,
      parameters: row.parameters + elementsOf(info),
      bytes: row.bytes + info.byteLength,
    };
  }
  return table;
}

function tiesOf(
  checkpoint: Checkpoint,
  decoder: Decoder | undefined,
  storedName: (name: string) => string,
): Record<string, string> {
  const ties = Object.fromEntries(checkpoint.aliases);
  if (decoder?.tied && Object.keys(ties).length === 0) ties['lm_head.weight'] = storedName(decoder.embedding);
  return ties;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
