import { type Checkpoint, elementsOf, readFloats } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { GgufArchitecture } from './architecture.js';
import { unusableTensor } from './config-from-gguf.js';
import type { DecoderNumbers } from './config-to-gguf.js';
import type { TensorFacts } from './gguf-numbers.js';
import { type Llama3Scaling, recoverScaling, ropeFactors } from './llama3-rope.js';
import { decimals, LONG_ROPE_TENSORS } from './long-rope.js';

/** Llama 3's frequency factors: in Hugging Face's folders they are four numbers in config.json. */
const ROPE_FACTORS = 'rope_freqs.weight';

/** The tensors that a GGUF has for what config.json says of rotary embedding, F32, by name; none for most models. */
export function rotaryTensors({ ropeScaling, ropeTheta, headDim }: DecoderNumbers): ReadonlyMap<string, Float32Array> {
  switch (ropeScaling.kind) {
    case 'llama3':
      return new Map([[ROPE_FACTORS, ropeFactors(ropeScaling, { theta: ropeTheta, headDim })]]);
    case 'longrope':
      return new Map([
        [LONG_ROPE_TENSORS.long, Float32Array.from(ropeScaling.longFactors)],
        [LONG_ROPE_TENSORS.short, Float32Array.from(ropeScaling.shortFactors)],
      ]);
    default:
      return new Map();
  }
}

/** Whether a GGUF's tensor is one of those that `rotaryTensors` makes of such models. */
export function isRotaryTensor(name: string, { hasRopeFactors, hasLongRope }: GgufArchitecture): boolean {
  if (name === ROPE_FACTORS) return hasRopeFactors === true;
  return hasLongRope === true && (name === LONG_ROPE_TENSORS.long || name === LONG_ROPE_TENSORS.short);
}

/** What those tensors say. Throws `unreadable` for ones of another size, `unsupported` for factors that no config has. */
export async function rotaryFacts(
  gguf: Checkpoint,
  architecture: GgufArchitecture,
  rotation: { readonly theta: number; readonly headDim: number; readonly rotated: number },
): Promise<Pick<TensorFacts, 'llama3' | 'longRope'>> {
  const has = (name: string) => gguf.tensors.has(name) && isRotaryTensor(name, architecture);
  if (has(ROPE_FACTORS)) {
    const llama3 = await readLlama3(gguf, rotation);
    return llama3 === undefined ? {} : { llama3 };
  }
  const { long, short } = LONG_ROPE_TENSORS;
  const [missing, there] = has(long) ? [short, long] : [long, short];
  if (!has(there)) return {};
  if (!has(missing)) throw unusableTensor(gguf.path, there, `${missing} is missing`);
  const read = async (name: string) => decimals(await readFactors(gguf, name, rotation.rotated / 2));
  return { longRope: { long: await read(long), short: await read(short) } };
}

async function readLlama3(
  gguf: Checkpoint,
  base: { readonly theta: number; readonly headDim: number },
): Promise<Llama3Scaling | undefined> {
  const factors = await readFactors(gguf, ROPE_FACTORS, base.headDim / 2);
  if (factors.length > 0 && factors.every((factor) => factor === 1)) return undefined;
  const scaling = recoverScaling(factors, base);
  if (scaling !== undefined) return scaling;
  const message = `${gguf.path} scales its rotary frequencies (${ROPE_FACTORS}) in a way that is not Llama 3's.`;
  throw new BirdboneError('unsupported', message, { file: gguf.path, tensor: ROPE_FACTORS });
}

/** As many factors as there are pairs; none of a tensor that is not F32. */
async function readFactors(gguf: Checkpoint, name: string, pairs: number): Promise<Float32Array> {
  const { shape, dtype } = gguf.tensors.get(name)!;
  if (elementsOf(shape) !== pairs) {
    throw unusableTensor(gguf.path, name, `its shape is [${shape}]; heads of ${2 * pairs} have half as many pairs`);
  }
  return dtype === 'F32' ? readFloats(gguf, name) : new Float32Array(0);
}
