import { tmpdir } from 'node:os';
import { type MemoryValues, memoryLayer, overlay } from '../../../src/checkpoint/index.js';
import { type Report, silent } from '../../../src/events.js';
import { type LinearSpec, type Model, withCheckpoint } from '../../../src/model/index.js';
import { dequantizeMatrix, type QuantizedMatrix, type Scheme } from '../../../src/quantization/index.js';
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
  /** The model with what its codes stand for, dense. */
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
  const [matrices, reports, values] = [
    new Map<string, QuantizedMatrix>(),
    [] as MatrixReport[],
    new Map<string, Float32Array>(),
  ];
  const dense = new Map<string, MemoryValues>();
  const planned = new Set(changedTensors(rules, model).map(({ name }) => name));
  const context = { model, device, calibration, memoryBytes: 2 ** 30, spillFolder: tmpdir(), report };
  await quantizeBlocks(rules, context, {
    async matrix(spec, quantized, made) {
      if (matrices.has(spec.weight)) throw new Error(`${spec.weight} came twice`);
      matrices.set(spec.weight, quantized);
      reports.push(made);
      dense.set(spec.weight, denseValues(spec, quantized));
    },
    async values(info, own) {
      if (!planned.delete(info.name)) throw new Error(`${info.name} was not announced, or came twice`);
      values.set(info.name, own);
      dense.set(info.name, { info, bytes: encodeFromF32(own, info.dtype) });
    },
  });
  if (planned.size > 0) throw new Error(`announced and not written: ${[...planned].join(', ')}`);
  const layers = [memoryLayer(new Map(), dense)];
  return { model: withCheckpoint(model, overlay(model.checkpoint, layers)), matrices, reports, values };
}

function denseValues({ weight: name, rows, columns, layout }: LinearSpec, quantized: QuantizedMatrix): MemoryValues {
  const values = dequantizeMatrix(quantized);
  const turned = layout === 'in-out';
  const stored = turned ? values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!) : values;
  const shape = turned ? [columns, rows] : [rows, columns];
  const bytes = encodeFromF32(stored, 'F32');
  return { info: { name, dtype: 'F32', shape, byteLength: bytes.length }, bytes };
}
