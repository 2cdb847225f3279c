import { tmpdir } from 'node:os';
import {
  type Checkpoint,
  type MemoryValues,
  memoryLayer,
  overlay,
  type TensorInfo,
} from '../../../src/checkpoint/index.js';
import { codingBytes, codingName, decodedView } from '../../../src/coding/index.js';
import { type Report, silent } from '../../../src/events.js';
import { type LinearSpec, type Model, withCheckpoint } from '../../../src/model/index.js';
import { type QuantizedMatrix, type Scheme, toParts } from '../../../src/quantization/index.js';
import {
  changedTensors,
  type MatrixReport,
  type QuantizerOptions,
  quantizeBlocks,
  quantizers,
} from '../../../src/quantizing/index.js';
import { type Device, encodeFromF32 } from '../../../src/tensor/index.js';

export interface OurQuantization {
  readonly algorithm: string;
  /** Of every matrix inside the blocks, or of those that it gives one. */
  readonly scheme: Scheme | ((spec: LinearSpec) => Scheme | undefined);
  readonly options?: QuantizerOptions;
  readonly calibration: readonly { readonly ids: Int32Array }[];
  readonly device: Device;
  readonly report?: Report;
}

export interface OurQuantized {
  /** The model as it is stored: codes, scales and records, read through the decoded view. */
  readonly model: Model;
  readonly matrices: ReadonlyMap<string, QuantizedMatrix>;
  readonly reports: readonly MatrixReport[];
  /** Other tensors with new values. */
  readonly values: ReadonlyMap<string, Float32Array>;
}

/** Quantizes by the product's own algorithms, without the wave engine around them. */
export async function quantizeOurs(model: Model, settings: OurQuantization): Promise<OurQuantized> {
  const { algorithm, scheme, options, calibration, device, report = silent } = settings;
  const quantizer = await quantizers.load(algorithm);
  const schemeOf =
    typeof scheme === 'function' ? scheme : ({ role }: LinearSpec) => (role === 'router' ? undefined : scheme);
  const rules = { quantizer, schemeOf, ...(options && { options }) };
  const matrices = new Map<string, QuantizedMatrix>();
  const reports: MatrixReport[] = [];
  const values = new Map<string, Float32Array>();
  const stored = new Map<string, MemoryValues>();
  const planned = new Set(changedTensors(rules, model).map(({ name }) => name));
  const context = { model, device, calibration, memoryBytes: 2 ** 30, spillFolder: tmpdir(), report };
  await quantizeBlocks(rules, context, {
    async matrix(spec, quantized, made) {
      if (matrices.has(spec.weight)) throw new Error(`${spec.weight} came twice`);
      matrices.set(spec.weight, quantized);
      reports.push(made);
      for (const [name, part] of partsOf(spec, quantized)) stored.set(name, part);
    },
    async values(info, own) {
      if (!planned.delete(info.name)) throw new Error(`${info.name} was not announced, or came twice`);
      values.set(info.name, own);
      stored.set(info.name, { info, bytes: encodeFromF32(own, info.dtype) });
    },
  });
  if (planned.size > 0) throw new Error(`announced and not written: ${[...planned].join(', ')}`);
  return { model: withCheckpoint(model, await decoded(model.checkpoint, stored)), matrices, reports, values };
}

function decoded(base: Checkpoint, stored: ReadonlyMap<string, MemoryValues>): Promise<Checkpoint> {
  const [replaced, added] = [true, false].map((isThere) => {
    return new Map([...stored].filter(([name]) => base.tensors.has(name) === isThere));
  });
  return decodedView(overlay(base, [memoryLayer(new Map(), replaced, added)]));
}

/** The tensors that stand for a matrix. */
function partsOf(spec: LinearSpec, quantized: QuantizedMatrix): Map<string, MemoryValues> {
  const { parts, record } = toParts(quantized);
  const made = new Map<string, MemoryValues>();
  const add = (name: string, info: Pick<TensorInfo, 'dtype' | 'shape'>, bytes: Uint8Array) =>
    made.set(name, { info: { name, ...info, byteLength: bytes.length }, bytes });
  for (const [suffix, { dtype, shape, bytes }] of parts) add(`${spec.weight}${suffix}`, { dtype, shape }, bytes);
  const bytes = codingBytes({ ...record!, ...(spec.layout && { layout: spec.layout }) });
  add(codingName(spec.weight), { dtype: 'U8', shape: [bytes.length] }, bytes);
  return made;
}
