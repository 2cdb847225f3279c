import { type MemoryValues, memoryLayer, overlay, type TensorInfo } from '../checkpoint/index.js';
import { type HiddenStates, type LinearSpec, withCheckpoint } from '../model/index.js';
import { advanceStates } from '../pruning/index.js';
import { dequantizeMatrix, type QuantizedMatrix } from '../quantization/index.js';
import { encodeFromF32 } from '../tensor/index.js';
import type { MatrixReport, QuantizeContext, QuantizedSink } from './quantizer.js';
import { inStoredOrder } from './stored-order.js';

/** Passes on what a quantizer makes of one block, and keeps its values until the block has run with them. */
export class BlockResult implements QuantizedSink {
  readonly #sink: QuantizedSink;
  readonly #values = new Map<string, MemoryValues>();

  constructor(sink: QuantizedSink) {
    this.#sink = sink;
  }

  async matrix(spec: LinearSpec, quantized: QuantizedMatrix, report: MatrixReport): Promise<void> {
    const values = inStoredOrder(dequantizeMatrix(quantized), spec);
    const { rows, columns, weight: name } = spec;
    const shape = spec.layout === 'in-out' ? [columns, rows] : [rows, columns];
    const info: TensorInfo = { name, dtype: 'F32', shape, byteLength: values.byteLength };
    this.#values.set(name, { info, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) });
    await this.#sink.matrix(spec, quantized, report);
  }

  async values(info: TensorInfo, values: Float32Array): Promise<void> {
    this.#values.set(info.name, { info, bytes: encodeFromF32(values, info.dtype) });
    await this.#sink.values(info, values);
  }

  /** Replaces the hidden states by what the block gives as it now is. */
  async advance(index: number, states: HiddenStates, context: QuantizeContext): Promise<void> {
    const layer = memoryLayer(new Map(), this.#values);
    const { model } = context;
    await advanceStates(withCheckpoint(model, overlay(model.checkpoint, [layer])), index, states, context);
  }
}
