import type { Checkpoint, JsonObject } from '../../checkpoint/index.js';
import { expectPart } from '../../coding/index.js';
import { recordOf, rowBytesOf, type ScaleDtype } from '../../quantization/index.js';
import type { ConfigFields } from '../config-fields.js';
import type { QuantizedCheckpoint } from '../layout.js';
import { infoOf, nativeNames, recordTensor } from '../native-parts.js';
import { expectMatrix, expectScales, modulesWith, nativeView, wrongTensor } from '../native-view.js';
import type { ViewedTensor } from '../strips.js';
import { bytesOf, elementsOf, readTransposed, type StoredMatrix, transposed } from '../transpose.js';
import { OUTPUTS_PER_WORD, unpackAwq, wordsOfInputs } from './nibbles.js';
import { NAME } from './write.js';

/** Bytes of packed rows that are read at once. */
const CHUNK_BYTES = 8 * 2 ** 20;
const BITS = 4;

interface Module {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly groups: number;
  readonly scaleDtype: ScaleDtype;
}

/**
 * A checkpoint of AWQ's GEMM tensors in the native form. Reads no tensor. Throws `unreadable`, naming the tensor, for tensors that do not
 * fit each other, `unsupported` for its other versions (GEMV, Marlin …), whose words are in another order.
 */
export async function readAwq(
  source: Checkpoint,
  config: JsonObject,
  fields: ConfigFields,
): Promise<QuantizedCheckpoint> {
  fields.oneOf(fields.value('bits') === undefined ? 'w_bit' : 'bits', [BITS]);
  fields.oneOf('version', ['gemm'], 'gemm');
  const groupSize = fields.groupSize(fields.value('group_size') === undefined ? 'q_group_size' : 'group_size');
  const names = modulesWith(source, '.qweight');
  const consumed = new Set(names.flatMap((name) => ['qweight', 'qzeros', 'scales'].map((part) => `${name}.${part}`)));
  const tensors = names.flatMap((name) => nativeTensors(source, checkedModule(source, name, groupSize), groupSize));
  return nativeView(source, config, { layout: NAME, tensors, consumed });
}

function checkedModule(source: Checkpoint, name: string, groupSize: number | undefined): Module {
  const qweight = expectMatrix(source, `${name}.qweight`, ['I32']);
  const [inputs, words] = qweight.shape as [number, number];
  const size = groupSize ?? inputs;
  if (inputs % size !== 0) {
    throw wrongTensor(source, qweight.name, `has ${inputs} inputs, which groups of ${size} do not divide`);
  }
  const groups = inputs / size;
  const outputs = words * OUTPUTS_PER_WORD;
  expectPart(source, { name: `${name}.qzeros`, dtypes: ['I32'], shape: [groups, words] });
  const { dtype } = expectScales(source, `${name}.scales`, [groups, outputs]);
  return { name, inputs, outputs, groups, scaleDtype: dtype as ScaleDtype };
}

function nativeTensors(source: Checkpoint, module: Module, groupSize: number | undefined): ViewedTensor[] {
  const { name, inputs, outputs, groups, scaleDtype } = module;
  const names = nativeNames(`${name}.weight`);
  const scaleBytes = scaleDtype === 'F32' ? 4 : 2;
  const scales: StoredMatrix = {
    source,
    tensor: `${name}.scales`,
    rows: groups,
    columns: outputs,
    elementBytes: scaleBytes,
  };
  const isChannel = groups === 1;
  const scheme = {
    bits: BITS,
    type: 'int',
    symmetric: false,
    ...(isChannel ? { strategy: 'channel' as const } : { strategy: 'group' as const, groupSize: groupSize! }),
    scaleDtype,
  } as const;
  return [
    {
      info: infoOf(names.codes, 'U8', [outputs, rowBytesOf(inputs, BITS)]),
      rowBytes: rowBytesOf(inputs, BITS),
      unitRows: OUTPUTS_PER_WORD,
      compute: (first, count) => readCodes(source, module, first, count),
    },
    {
      info: infoOf(names.scale, scaleDtype, [outputs, groups]),
      rowBytes: groups * scaleBytes,
      compute: async (first, count) => bytesOf(await readTransposed(scales, first, count)),
    },
    {
      info: infoOf(names.zeroPoint, 'U8', [outputs, groups]),
      rowBytes: groups,
      compute: (first, count) => readZeroPoints(source, module, first, count),
    },
    recordTensor(names.codes, recordOf(scheme, outputs, inputs)),
  ];
}

/** Native rows of outputs `[first, first + count)`, gathered from the rows of inputs in one pass over the matrix. */
async function readCodes(source: Checkpoint, module: Module, first: number, count: number): Promise<Uint8Array> {
  const { name, inputs, outputs } = module;
  const width = rowBytesOf(inputs, BITS);
  const result = new Uint8Array(count * width);
  const rowBytes = outputs / 2;
  const rowsPerChunk = Math.max(8, Math.floor(CHUNK_BYTES / rowBytes / 8) * 8);
  for (let start = 0; start < inputs; start += rowsPerChunk) {
    const rows = Math.min(rowsPerChunk, inputs - start);
    const bytes = await source.read(`${name}.qweight`, { offset: start * rowBytes, length: rows * rowBytes });
    const words = wordsOfInputs(elementsOf(bytes, 4) as Uint32Array, outputs / OUTPUTS_PER_WORD, {
      first: first / OUTPUTS_PER_WORD,
      count: count / OUTPUTS_PER_WORD,
    });
    const across = Math.ceil(rows / 8);
    for (let word = 0; word < across; word += 1) {
      const at = start / 2 + word * 4;
      const whole = at + 4 <= width;
      for (let row = 0; row < count; row += 1) {
        const value = words[word * count + row]!;
        const to = row * width + at;
        for (let byte = 0; byte < (whole ? 4 : width - at); byte += 1) result[to + byte] = value >>> (8 * byte);
      }
    }
  }
  return result;
}

async function readZeroPoints(source: Checkpoint, module: Module, first: number, count: number): Promise<Uint8Array> {
  const { name, outputs, groups } = module;
  const packed = elementsOf(await source.read(`${name}.qzeros`), 4) as Uint32Array;
  const zeros = transposed(unpackAwq(packed), groups, outputs);
  return zeros.slice(first * groups, (first + count) * groups);
}
