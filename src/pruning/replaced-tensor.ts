import type { TensorInfo } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { LinearSpec, Model } from '../model/index.js';
import { encodeFromF32 } from '../tensor/index.js';

/**
 * What a linear's weight will be stored as with new values: type and shape stay. Throws `unsupported` for a type that numbers
 * cannot be put into one by one.
 */
export function replacedTensor({ checkpoint }: Model, { weight }: LinearSpec, solver: string): TensorInfo {
  const info = checkpoint.tensors.get(weight)!;
  try {
    encodeFromF32(new Float32Array(0), info.dtype);
  } catch (error) {
    if (!(error instanceof BirdboneError)) throw error;
    throw new BirdboneError(
      'unsupported',
      `The solver ${solver} changes weights, and ${weight} is stored as ${info.dtype}. It can be one of F64, F32, F16, BF16 and 8-bit floats.`,
      {
        file: checkpoint.path,
        tensor: weight,
        suggestions: [
          'Convert the model first: birdbone convert MODEL --out DIR --dtype bf16',
          'Only remove weights: --solver none',
        ],
        cause: error,
      },
    );
  }
  return info;
}
