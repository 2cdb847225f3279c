import type { JsonObject } from '../../src/checkpoint/index.js';
import { type CodedView, codingBytes, codingName, decodedView } from '../../src/coding/index.js';
import { type Decoder, describeModel } from '../../src/model/index.js';
import { type QuantizedMatrix, quantizeMatrix, type Scheme, toParts } from '../../src/quantization/index.js';
import { type MemoryTensor, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';
import { TINY_LLAMA, type TinyConfig, tinyModel } from '../reference/tiny-model.js';

/** A tiny random model whose linears are quantized, in memory. */
export interface CodedModel {
  readonly view: CodedView;
  readonly decoder: Decoder;
  readonly config: JsonObject;
  /** One code an element, scales and zero points of every quantized weight. */
  readonly matrices: ReadonlyMap<string, QuantizedMatrix>;
}

export interface CodedModelOptions {
  /** Scheme of a linear; undefined leaves it dense. */
  readonly schemeOf: (weight: string) => Scheme | undefined;
  readonly sizes?: Partial<TinyConfig>;
  readonly seed?: number;
  /** Changes a matrix's values before it is quantized. */
  readonly prepare?: (weight: string, values: Float32Array) => void;
  /** Changes a quantized matrix. */
  readonly adjust?: (weight: string, matrix: QuantizedMatrix) => void;
}

export async function codedModel({ schemeOf, sizes, seed, prepare, adjust }: CodedModelOptions): Promise<CodedModel> {
  const config = { ...TINY_LLAMA, ...sizes } as TinyConfig;
  const { tensors } = tinyModel(config, seed);
  const stored: Record<string, MemoryTensor> = {};
  const matrices = new Map<string, QuantizedMatrix>();
  for (const [name, { shape, values }] of tensors) {
    const isLinear = /_proj\.weight$|lm_head/.test(name);
    const scheme = isLinear ? schemeOf(name) : undefined;
    const numbers = Float32Array.from(values);
    prepare?.(name, numbers);
    if (scheme === undefined) {
      stored[name] = { dtype: 'F32', shape, bytes: new Uint8Array(numbers.buffer) };
      continue;
    }
    const matrix = quantizeMatrix(numbers, shape[0]!, shape[1]!, scheme);
    adjust?.(name, matrix);
    matrices.set(name, matrix);
    const { parts, record } = toParts(matrix);
    for (const [suffix, part] of parts) stored[`${name}${suffix}`] = part;
    const bytes = codingBytes(record!);
    stored[codingName(name)] = { dtype: 'U8', shape: [bytes.length], bytes };
  }
  const view = await decodedView(memoryCheckpoint(stored, { path: '/models/tiny' }));
  return { view, decoder: await describeModel(view, { ...config }), config: { ...config }, matrices };
}

/** Sizes that every layout takes: all widths are multiples of 64. */
export const ROUND_SIZES = { hidden_size: 64, intermediate_size: 128 } as const;
