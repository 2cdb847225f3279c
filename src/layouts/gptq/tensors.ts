import type { Checkpoint } from '../../checkpoint/index.js';
import { packRows } from '../../quantization/index.js';
import { codeWords, constantTensor, groupsOf, infoOf, nativeNames } from '../native-parts.js';
import type { CodedLinear } from '../rules.js';
import type { ComputedTensor } from '../strips.js';
import { bytesOf, type ElementBytes, readTransposed, type StoredMatrix } from '../transpose.js';

/**
 * The tensors of one module. `qweight` [inputs / 32 · bits, outputs] is the transpose of the native rows of words: word r of an
 * output's stream holds the same inputs in both, for 3 bits too, whose "32 values in 3 words" is the same dense stream.
 * Source: AutoGPTQ, nn_modules/qlinear/qlinear_cuda_old.py (`pack`).
 */
export function moduleTensors(raw: Checkpoint, linear: CodedLinear): ComputedTensor[] {
  const { weight, module, rows, columns, scheme } = linear;
  const { groupSize = columns } = scheme;
  const groups = groupsOf(scheme, columns);
  const { scale } = nativeNames(weight);
  const words = codeWords(raw, linear);
  const scales: StoredMatrix = { source: raw, tensor: scale, rows, columns: groups, elementBytes: 2 };
  const indices = Int32Array.from({ length: columns }, (_, input) => Math.floor(input / groupSize));
  return [
    transposeOf(`${module}.qweight`, 'I32', words),
    zeroPoints(raw, linear),
    transposeOf(`${module}.scales`, 'F16', scales),
    constantTensor(infoOf(`${module}.g_idx`, 'I32', [columns]), new Uint8Array(indices.buffer)),
  ];
}

function transposeOf(name: string, dtype: 'I32' | 'F16', matrix: StoredMatrix): ComputedTensor {
  return {
    info: infoOf(name, dtype, [matrix.columns, matrix.rows]),
    rowBytes: matrix.rows * matrix.elementBytes,
    compute: async (first, count) => bytesOf(await readTransposed(matrix, first, count)),
  };
}

/** z − 1, packed along the outputs; what multiplies it adds the 1 again. */
function zeroPoints(raw: Checkpoint, { weight, module, rows, columns, scheme }: CodedLinear): ComputedTensor {
  const { bits, symmetric } = scheme;
  const groups = groupsOf(scheme, columns);
  const stored: StoredMatrix = {
    source: raw,
    tensor: nativeNames(weight).zeroPoint,
    rows,
    columns: groups,
    elementBytes: 1 satisfies ElementBytes,
  };
  return {
    info: infoOf(`${module}.qzeros`, 'I32', [groups, (rows / 32) * bits]),
    rowBytes: (rows / 8) * bits,
    async compute(first, count) {
      const zeros = symmetric
        ? new Uint8Array(count * rows).fill(2 ** (bits - 1))
        : bytesOf(await readTransposed(stored, first, count));
      return packRows(
        zeros.map((zero) => zero - 1),
        count,
        rows,
        bits,
      );
    },
  };
}
