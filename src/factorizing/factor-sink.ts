import type { Checkpoint, LayerPlan, LayerWriter, MemoryValues, TensorInfo } from '../checkpoint/index.js';
import { type CodedView, type CodingRecord, codingBytes, codingName } from '../coding/index.js';
import { type Factors, productOf } from '../lowrank/index.js';
import type { LinearSpec, Model } from '../model/index.js';
import { type Device, type Dtype, decodeToF32, encodeFromF32 } from '../tensor/index.js';
import { allFactorizable, inStoredOrder } from './linears.js';
import type { FactorFormat } from './settings.js';

/** A linear that becomes factors, and the type that they are stored in. */
export interface Factorized {
  readonly spec: LinearSpec;
  readonly rank: number;
  readonly dtype: Dtype;
}

/** How factors are written into a layer. */
export interface FactorSink {
  /** The tensors that the layer will hold of one linear. */
  plan(linear: Factorized): readonly TensorInfo[];
  /** Writes them; returns the weight as the model reads it from then on: dense, and rounded as the parts are. */
  write(linear: Factorized, factors: Factors, writer: LayerWriter, device: Device): Promise<MemoryValues>;
}

/** Everything that a wave's layer will hold. */
export function layerPlan(sink: FactorSink, linears: readonly Factorized[]): LayerPlan {
  return { masks: [], values: linears.flatMap((linear) => sink.plan(linear)) };
}

/** The linears of a model that a choice of ranks, by name, makes factors of; a rank of 0 makes none. */
export function factorizedLinears(model: Model, ranks: ReadonlyMap<string, number>): readonly Factorized[] {
  return allFactorizable(model).flatMap((spec) => {
    const rank = ranks.get(spec.weight) ?? 0;
    return rank === 0 ? [] : [{ spec, rank, dtype: factorDtype(model.checkpoint, spec) }];
  });
}

/** The weight's own type where that is a plain float one; factors of quantized weights are kept in half the room of float32. */
function factorDtype(checkpoint: Checkpoint, { weight }: LinearSpec): Dtype {
  const stored = 'raw' in checkpoint ? (checkpoint as CodedView).raw : checkpoint;
  const { dtype } = stored.tensors.get(weight)!;
  if (dtype === 'F64') return 'F32';
  return dtype in FLOAT_BYTES ? dtype : 'BF16';
}

/** The pair itself under the weight's name (src/coding/factors.ts). */
const factorsSink: FactorSink = {
  plan: ({ spec, rank, dtype }) => {
    const { weight, rows, columns } = spec;
    const bytes = codingBytes(recordOf(spec));
    return [
      infoOf(weight, dtype, [rows, rank]),
      infoOf(rightName(weight), dtype, [rank, columns]),
      { name: codingName(weight), dtype: 'U8', shape: [bytes.length], byteLength: bytes.length },
    ];
  },
  async write({ spec, dtype }, factors, writer, device) {
    const { weight } = spec;
    const [left, right] = [encodeFromF32(factors.left, dtype), encodeFromF32(factors.right, dtype)];
    await writer.writeValues(weight, 0, left);
    await writer.writeValues(rightName(weight), 0, right);
    await writer.writeValues(codingName(weight), 0, codingBytes(recordOf(spec)));
    const stored = { ...factors, left: decodeToF32(left, dtype), right: decodeToF32(right, dtype) };
    return denseValues(spec, await productOf(stored, device), 'F32');
  },
};

/** The product of the factors in the weight's own type and shape, which every engine loads. */
const denseSink: FactorSink = {
  plan: ({ spec, dtype }) => [denseInfo(spec, dtype)],
  async write({ spec, dtype }, factors, writer, device) {
    const values = denseValues(spec, await productOf(factors, device), dtype);
    await writer.writeValues(spec.weight, 0, values.bytes);
    return values;
  },
};

/** By the format of the result. */
export const factorSinks: Readonly<Record<FactorFormat, FactorSink>> = { factors: factorsSink, dense: denseSink };

function recordOf({ rows, columns, layout }: LinearSpec): CodingRecord {
  return { kind: 'factors', rows, columns, ...(layout === 'in-out' && { layout }) };
}

function rightName(weight: string): string {
  return `${weight}_right`;
}

function denseInfo(spec: LinearSpec, dtype: Dtype): TensorInfo {
  const { weight, rows, columns, layout } = spec;
  return infoOf(weight, dtype, layout === 'in-out' ? [columns, rows] : [rows, columns]);
}

function denseValues(spec: LinearSpec, values: Float32Array, dtype: Dtype): MemoryValues {
  return { info: denseInfo(spec, dtype), bytes: encodeFromF32(inStoredOrder(values, spec), dtype) };
}

const FLOAT_BYTES: Partial<Record<Dtype, number>> = { F32: 4, F16: 2, BF16: 2 };

function infoOf(name: string, dtype: Dtype, shape: readonly [number, number]): TensorInfo {
  return { name, dtype, shape, byteLength: FLOAT_BYTES[dtype]! * shape[0] * shape[1] };
}
