import type { Checkpoint } from '../../checkpoint/index.js';
import { packRows } from '../../quantization/index.js';
import { codeWords, constantTensor, groupsOf, infoOf, nativeNames } from '../native-parts.js';
import type { CodedLinear } from '../rules.js';
import type { ComputedTensor, ViewedTensor } from '../strips.js';
import { bytesOf, elementsOf, paddedRows, readRows, transposed } from '../transpose.js';
import type { SchemeForm } from './scheme-form.js';

/** Offset binary to two's complement and back: the sign bit is the other way round. */
const SIGN_BIT = 0x80;
const SIGN_BITS = 0x80808080;

/** The tensors of one module: weight, scales, and zero points where it has them. */
export function moduleTensors(raw: Checkpoint, linear: CodedLinear, { format, scheme }: SchemeForm): ViewedTensor[] {
  if (format === 'pack-quantized') return packedTensors(raw, linear);
  const { weight, module, rows, columns } = linear;
  const shape = [rows, columns];
  const values: ViewedTensor =
    scheme.type === 'float'
      ? { info: infoOf(`${module}.weight`, 'F8_E4M3', shape), stored: weight }
      : { info: infoOf(`${module}.weight`, 'I8', shape), stored: weight, change: flipSigns };
  return [values, scaleTensor(raw, linear)];
}

/** One number a row, one a group of a row, one a block; for the whole matrix [1], without the second axis. */
function scaleTensor(raw: Checkpoint, { weight, module, scheme }: CodedLinear): ViewedTensor {
  const { scale } = nativeNames(weight);
  const info = { ...raw.tensors.get(scale)!, name: `${module}.weight_scale` };
  return { info: scheme.strategy === 'tensor' ? { ...info, shape: [1] } : info, stored: scale };
}

function packedTensors(raw: Checkpoint, linear: CodedLinear): ViewedTensor[] {
  const { weight, module, rows, columns, scheme } = linear;
  const words = codeWords(raw, linear);
  const packed = infoOf(`${module}.weight_packed`, 'I32', [rows, words.columns]);
  const shape = new Uint8Array(BigInt64Array.of(BigInt(rows), BigInt(columns)).buffer);
  return [
    // A row of the native form is the same stream; only what fills up its last word may be missing.
    words.rowBytes === words.columns * 4
      ? { info: packed, stored: weight }
      : {
          info: packed,
          rowBytes: words.columns * 4,
          compute: async (first, count) => bytesOf(await readRows(words, first, count)),
        },
    scaleTensor(raw, linear),
    constantTensor(infoOf(`${module}.weight_shape`, 'I64', [2]), shape),
    ...(scheme.symmetric ? [] : [zeroPoints(raw, linear)]),
  ];
}

/** Zero points are packed along the outputs: word w of a column holds those of outputs from ⌊32·w / bits⌋ on. */
function zeroPoints(raw: Checkpoint, { weight, module, rows, columns, scheme }: CodedLinear): ComputedTensor {
  const { bits } = scheme;
  const groups = groupsOf(scheme, columns);
  const { zeroPoint } = nativeNames(weight);
  return {
    info: infoOf(`${module}.weight_zero_point`, 'I32', [Math.ceil((rows * bits) / 32), groups]),
    rowBytes: groups * 4,
    // 32 outputs fill as many words as a code has bits.
    unitRows: bits,
    async compute(first, count) {
      const start = (first / bits) * 32;
      const outputs = Math.min(rows, start + Math.ceil(count / bits) * 32) - start;
      const codes = await raw.read(zeroPoint, { offset: start * groups, length: outputs * groups });
      const streams = packRows(transposed(codes, outputs, groups), groups, outputs, bits);
      return bytesOf(transposed(elementsOf(paddedRows(streams, groups, count * 4), 4), groups, count));
    },
  };
}

/** Each byte with the sign bit the other way round, in place; four at a time, but for the ends. */
export function flipSigns(bytes: Uint8Array): void {
  const start = Math.min(bytes.length, -bytes.byteOffset & 3);
  const end = start + 4 * Math.floor((bytes.length - start) / 4);
  for (let index = 0; index < start; index += 1) bytes[index]! ^= SIGN_BIT;
  for (let index = end; index < bytes.length; index += 1) bytes[index]! ^= SIGN_BIT;
  if (start === end) return;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + start, (end - start) / 4);
  for (let index = 0; index < words.length; index += 1) words[index]! ^= SIGN_BITS;
}
