import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryLayer, overlay, readFloats } from '../../src/checkpoint/index.js';
import { codingBytes, codingName, decodedView } from '../../src/coding/index.js';
import { disposeLinear, type LinearSpec, loadLinear, type Model, openModel } from '../../src/model/index.js';
import { quantizeMatrix, type Scheme, schemeOf, toParts } from '../../src/quantization/index.js';
import { availableDevices, type Device, openDevice } from '../../src/tensor/index.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

const missing = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;
const folder = writeTinyModel(tinyModel(TINY_LLAMA));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(missing !== undefined)(`coded weights on a GPU${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let gpu: Device;
  let dense: Model;
  beforeAll(async () => {
    gpu = await openDevice('webgpu');
    dense = await openModel(folder);
  });
  afterAll(async () => {
    await dense.checkpoint.close();
    await gpu.close();
  });

  /** One linear in codes as a view shows it, what its values are there, what the GPU has of it, and the bytes that went there. */
  async function loaded(spec: LinearSpec, scheme: Scheme) {
    const { weight, rows, columns } = spec;
    const stored = toParts(quantizeMatrix(await readFloats(dense.checkpoint, weight), rows, columns, scheme));
    const record = codingBytes(stored.record!);
    const parts = new Map([...stored.parts].map(([suffix, part]) => [`${weight}${suffix}`, part]));
    parts.set(codingName(weight), { dtype: 'U8', shape: [record.length], bytes: record });
    const tensors = [...parts].map(([name, { dtype, shape, bytes }]) => {
      return [name, { info: { name, dtype, shape, byteLength: bytes.length }, bytes }] as const;
    });
    const [own, added] = [true, false].map((isOwn) => new Map(tensors.filter(([name]) => (name === weight) === isOwn)));
    const view = await decodedView(overlay(dense.checkpoint, [memoryLayer(new Map(), own, added)]));
    let travelled = 0;
    const upload: Device['upload'] = (values, shape) => {
      travelled += values.byteLength;
      return gpu.upload(values, shape);
    };
    // A matrix comes in parts of at most 10 rows.
    const device = { ...gpu, upload, maxTensorBytes: 4 * 10 * columns };
    const linear = await loadLinear(view, spec, device);
    const values: number[] = [];
    for (const part of linear.weight.parts) values.push(...(await gpu.read(part)));
    const count = linear.weight.parts.length;
    disposeLinear(linear);
    return { values: Float32Array.from(values), expected: await readFloats(view, weight), travelled, count };
  }

  const linearOf = (weight: string) =>
    dense.decoder.blocks[1]!.linears.find((linear) => linear.weight.includes(weight))!;

  it.each([
    ['4 bits in groups of 16', schemeOf('int4', { groupSize: 16 }), (44 * 32) / 2 + 44 * 2 * 8],
    ['4 bits with zero points', schemeOf('int4', { groupSize: 16, asymmetric: true }), (44 * 32) / 2 + 44 * 2 * 8],
    ['8 bits, one scale a row', schemeOf('int8'), 44 * 32 + 44 * 8],
    ['2 bits', schemeOf('int2', { groupSize: 32 }), (44 * 32) / 4 + 44 * 8],
  ])('travel as codes and are to the bit what the host decodes: %s', async (_, scheme, bytes) => {
    const before = gpu.memory();
    const { values, expected, travelled, count } = await loaded(linearOf('gate_proj'), scheme);
    expect(values).toEqual(expected);
    expect(travelled).toBe(bytes);
    expect(count).toBe(5);
    expect(gpu.memory()).toEqual(before);
  });

  it.each([
    ['3 bits, which fill no word', 'gate_proj', schemeOf('int3', { groupSize: 16 })],
    ['rows that end within a word', 'down_proj', schemeOf('int4', { groupSize: 16 })],
    ['codes of floats', 'gate_proj', schemeOf('nf4')],
  ])('are decoded on the host: %s', async (_, weight, scheme) => {
    const { values, expected, travelled } = await loaded(linearOf(weight), scheme);
    expect(values).toEqual(expected);
    expect(travelled).toBe(4 * expected.length);
  });
});
