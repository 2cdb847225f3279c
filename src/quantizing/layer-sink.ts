import type { LayerWriter, TensorInfo } from '../checkpoint/index.js';
import { codingBytes, codingName } from '../coding/index.js';
import type { ChunkOfSums } from '../differences/index.js';
import type { LinearSpec, Model } from '../model/index.js';
import {
  dequantizeMatrix,
  type QuantizedMatrix,
  type RoundedRows,
  recordOf,
  rowBytesOf,
  type Scheme,
  toParts,
} from '../quantization/index.js';
import { encodeFromF32, freeMemory } from '../tensor/index.js';
import type { MatrixReport, QuantizedSink, QuantizeTarget } from './quantizer.js';
import { inStoredOrder, readWeight } from './stored-order.js';

/** A matrix as a quantizer left it, with how far its numbers are from those before. */
export interface WrittenMatrix extends MatrixReport {
  /** ‖W − Ŵ‖_F / ‖W‖_F; absent where a part of W was moved into other tensors, which changes W itself. */
  readonly error?: number;
}

/** What has come of a weight's rows beside their codes, which are written. */
interface Strips {
  codeBytes: number;
  readonly scales: Uint8Array[];
  readonly zeroPoints: Uint8Array[];
  readonly chunks: ChunkOfSums[];
  error: number;
  norm: number;
}

/** Writes what a quantizer makes into a layer, in the native form (docs/quantization.md), and keeps its reports. */
export class LayerSink implements QuantizedSink {
  readonly written: WrittenMatrix[] = [];
  /** What a diff would sum over the weights, as far as it was summed on the way. */
  readonly differences = new Map<string, ChunkOfSums[]>();
  readonly #writer: LayerWriter;
  readonly #model: Model;
  readonly #movesScales: boolean;
  /** Of the weight whose rows are coming. */
  #strips: Strips | undefined;

  constructor(writer: LayerWriter, model: Model, { movesScales }: { readonly movesScales: boolean }) {
    this.#writer = writer;
    this.#model = model;
    this.#movesScales = movesScales;
  }

  async matrix(spec: LinearSpec, quantized: QuantizedMatrix, report: MatrixReport): Promise<void> {
    const { weight } = spec;
    const { scheme } = quantized;
    const values = dequantizeMatrix(quantized);
    if (scheme.bits === 16) {
      const bytes = encodeFromF32(inStoredOrder(values, spec), scheme.format as 'F16' | 'BF16');
      await this.#writer.writeValues(weight, 0, bytes);
    } else {
      for (const [suffix, { bytes }] of toParts(quantized).parts) {
        await this.#writer.writeValues(`${weight}${suffix}`, 0, bytes);
      }
      await this.#record(spec, scheme);
    }
    const error = this.#movesScales ? undefined : await this.#errorOf(spec, values);
    freeMemory(values);
    this.written.push({ ...report, ...(error !== undefined && { error }) });
  }

  async rows({ spec, scheme }: QuantizeTarget, strip: RoundedRows, report: MatrixReport): Promise<void> {
    const { weight } = spec;
    this.#strips ??= { codeBytes: 0, scales: [], zeroPoints: [], chunks: [], error: 0, norm: 0 };
    const strips = this.#strips;
    await this.#writer.writeValues(weight, strips.codeBytes, strip.codes);
    strips.codeBytes += strip.codes.length;
    strips.scales.push(strip.scales);
    if (strip.zeroPoints) strips.zeroPoints.push(strip.zeroPoints);
    if (strip.chunks) strips.chunks.push(...strip.chunks);
    strips.error += strip.squares.error;
    strips.norm += strip.squares.norm;
    if (strips.codeBytes < spec.rows * rowBytesOf(spec.columns, scheme.bits)) return;
    this.#strips = undefined;
    await this.#writer.writeValues(`${weight}_scale`, 0, Buffer.concat(strips.scales));
    if (!scheme.symmetric) await this.#writer.writeValues(`${weight}_zero_point`, 0, Buffer.concat(strips.zeroPoints));
    await this.#record(spec, scheme);
    this.differences.set(weight, strips.chunks);
    this.written.push({ ...report, ...(!this.#movesScales && { error: relative(strips) }) });
  }

  async #errorOf(spec: LinearSpec, values: Float32Array): Promise<number> {
    const before = await readWeight(this.#model.checkpoint, spec);
    const error = relativeError(before, values);
    freeMemory(before);
    return error;
  }

  /** How the codes are to be read. */
  async #record({ weight, rows, columns, layout }: LinearSpec, scheme: Scheme): Promise<void> {
    const record = { ...recordOf(scheme, rows, columns), ...(layout && { layout }) };
    await this.#writer.writeValues(codingName(weight), 0, codingBytes(record));
  }

  async values(info: TensorInfo, values: Float32Array): Promise<void> {
    await this.#writer.writeValues(info.name, 0, encodeFromF32(values, info.dtype));
  }
}

/** ‖a − b‖ / ‖a‖ in double precision; 0 where both are 0. */
export function relativeError(before: Float32Array, after: Float32Array): number {
  return relative(addErrors({ error: 0, norm: 0 }, before, after));
}

function relative({ error, norm }: { readonly error: number; readonly norm: number }): number {
  return norm === 0 ? Math.sqrt(error) : Math.sqrt(error / norm);
}

/** Adds the squares of the differences and of `before` to sums so far. */
export function addErrors(sums: { error: number; norm: number }, before: Float32Array, after: Float32Array) {
  let { error, norm } = sums;
  for (let i = 0; i < before.length; i += 1) {
    const difference = before[i]! - after[i]!;
    error += difference * difference;
    norm += before[i]! * before[i]!;
  }
  return { error, norm };
}
