import { type Checkpoint, elementsOf as countOf } from '../../checkpoint/index.js';
import { expectPart, FLOAT_DTYPES } from '../../coding/index.js';
import { rowBytesOf, type ScaleDtype, type Scheme, tilesOf, unpackRows } from '../../quantization/index.js';
import type { Dtype } from '../../tensor/index.js';
import { infoOf, nativeNames } from '../native-parts.js';
import { expectMatrix, wrongTensor } from '../native-view.js';
import type { ViewedTensor } from '../strips.js';
import { elementsOf, transposed } from '../transpose.js';
import { type PackedWeight, packedCodes } from './packed-codes.js';
import type { WeightArgs } from './read-groups.js';
import { flipSigns } from './tensors.js';

/** A quantized module's tensors in the native form. */
export interface ModuleParts {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly scheme: Scheme;
  readonly tensors: readonly ViewedTensor[];
  readonly consumed: readonly string[];
}

/** The parts of one module. Throws `unreadable`, naming the tensor, unless they fit each other and the scheme. */
export async function partsOf(source: Checkpoint, name: string, args: WeightArgs): Promise<ModuleParts> {
  const isPacked = source.tensors.has(`${name}.weight_packed`);
  if (isPacked && args.type !== 'int') {
    throw wrongTensor(source, `${name}.weight_packed`, 'is packed, and config.json says float');
  }
  const { rows, columns, codes } = isPacked ? await packed(source, name, args.bits) : plain(source, name, args);
  // Integers in bytes have the range of 8 bits, however few of them are used.
  const bits = isPacked ? args.bits : 8;
  const { strategy, groupSize, blockShape, symmetric, type } = args;
  const shared = {
    bits,
    type,
    symmetric,
    strategy,
    ...(groupSize && { groupSize }),
    ...(blockShape && { blockShape }),
  };
  const format = type === 'float' ? { format: 'F8_E4M3' as const } : {};
  const { grid } = tilesOf({ ...shared, scaleDtype: 'F32' }, rows, columns);
  const scaleDtype = scaleOf(source, `${name}.weight_scale`, grid);
  const names = nativeNames(`${name}.weight`);
  const scale: ViewedTensor = { info: infoOf(names.scale, scaleDtype, grid), stored: `${name}.weight_scale` };
  const zeros = symmetric ? [] : [zeroPoints(source, { name, rows, bits, grid, isPacked })];
  return {
    name,
    rows,
    columns,
    scheme: { ...shared, ...format, scaleDtype },
    tensors: [codes, scale, ...zeros],
    consumed: ['weight', 'weight_packed', 'weight_shape', 'weight_scale', 'weight_zero_point', 'weight_g_idx'].map(
      (part) => `${name}.${part}`,
    ),
  };
}

interface Codes {
  readonly rows: number;
  readonly columns: number;
  readonly codes: ViewedTensor;
}

async function packed(source: Checkpoint, name: string, bits: number): Promise<Codes> {
  const info = expectMatrix(source, `${name}.weight_packed`, ['I32']);
  const shapeName = `${name}.weight_shape`;
  const { dtype } = expectPart(source, { name: shapeName, dtypes: ['I64', 'I32'], shape: [2] });
  const [rows, columns] = wholeNumbers(await source.read(shapeName), dtype);
  const words = info.shape[1]!;
  if (rows !== info.shape[0] || !Number.isSafeInteger(columns) || columns < 1) {
    throw wrongTensor(source, shapeName, `says [${rows}, ${columns}], and ${info.name} has ${info.shape[0]} rows`);
  }
  const weight: PackedWeight = { source, tensor: info.name, rows, columns, words, bits };
  const compute = packedCodes(weight);
  if (compute === undefined) {
    throw wrongTensor(
      source,
      info.name,
      `has rows of ${words} words, which ${columns} codes of ${bits} bits do not fill`,
    );
  }
  const rowBytes = rowBytesOf(columns, bits);
  const codes = infoOf(nativeNames(`${name}.weight`).codes, 'U8', [rows, rowBytes]);
  return { rows, columns, codes: { info: codes, rowBytes, compute } };
}

function wholeNumbers(bytes: Uint8Array, dtype: Dtype): [number, number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === 'I32') return [view.getInt32(0, true), view.getInt32(4, true)];
  return [Number(view.getBigInt64(0, true)), Number(view.getBigInt64(8, true))];
}

function plain(source: Checkpoint, name: string, { type }: WeightArgs): Codes {
  const weight = `${name}.weight`;
  const { shape } = expectMatrix(source, weight, [type === 'float' ? 'F8_E4M3' : 'I8']);
  const [rows, columns] = shape as [number, number];
  const info = infoOf(weight, 'U8', shape);
  if (type === 'float') return { rows, columns, codes: { info, stored: weight } };
  return { rows, columns, codes: { info, stored: weight, change: flipSigns } };
}

/** The type of the scales, which may leave out axes of one: [rows] for [rows, 1], [1] or [] for [1, 1]. */
function scaleOf(source: Checkpoint, name: string, grid: readonly [number, number]): ScaleDtype {
  const shape = source.tensors.get(name)?.shape ?? [];
  const isSame = shape.filter((size) => size !== 1).join() === grid.filter((size) => size !== 1).join();
  const { dtype } = expectPart(source, { name, dtypes: FLOAT_DTYPES, shape: isSame ? shape : grid });
  return dtype as ScaleDtype;
}

interface ZeroPoints {
  readonly name: string;
  readonly rows: number;
  readonly bits: number;
  readonly grid: readonly [number, number];
  readonly isPacked: boolean;
}

/** Zero points of packed integers are packed along the outputs; those of integers in bytes are bytes themselves. */
function zeroPoints(source: Checkpoint, { name, rows, bits, grid, isPacked }: ZeroPoints): ViewedTensor {
  const stored = `${name}.weight_zero_point`;
  const info = infoOf(nativeNames(`${name}.weight`).zeroPoint, 'U8', grid);
  const [, groups] = grid;
  if (!isPacked) {
    const shape = source.tensors.get(stored)?.shape ?? [];
    expectPart(source, { name: stored, dtypes: ['I8'], shape: countOf(shape) === countOf(grid) ? shape : grid });
    return { info, stored, change: flipSigns };
  }
  expectPart(source, { name: stored, dtypes: ['I32'], shape: [Math.ceil((rows * bits) / 32), groups] });
  return {
    info,
    rowBytes: groups,
    // As many outputs as fill whole words, whatever the bits.
    unitRows: 32,
    async compute(first, count) {
      const [start, words] = [(first / 32) * bits, Math.ceil((count * bits) / 32)];
      const bytes = await source.read(stored, { offset: start * groups * 4, length: words * groups * 4 });
      const streams = transposed(elementsOf(bytes, 4), words, groups);
      const width = Math.floor((words * 32) / bits);
      const codes = unpackRows(new Uint8Array(streams.buffer), groups, width, bits);
      return transposed(codes, groups, width).subarray(0, count * groups) as Uint8Array;
    },
  };
}
