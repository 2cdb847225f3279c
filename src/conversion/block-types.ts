import {
  type Checkpoint,
  elementsOf,
  type GgufMetadata,
  type GgufValue,
  type TensorInfo,
} from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import {
  chooseTypes,
  fallbackNotices,
  type Mix,
  type MixModel,
  type MixTensor,
  roleOfGguf,
  type TypeChoice,
} from '../ggml/index.js';
import { DTYPES, isBlockDtype } from '../tensor/index.js';

/** The version of ggml's block types that llama.cpp asks for. Source: ggml-org/ggml, include/ggml.h (`GGML_QNT_VERSION`). */
const QUANTIZATION_VERSION = 2;

/** How the tensors of a GGUF are stored under a mix. */
export interface BlockTypes {
  /** By name; tensors that are not in it are not for blocks. */
  readonly choices: ReadonlyMap<string, TypeChoice>;
  readonly metadata: readonly (readonly [string, GgufValue])[];
  /** Fallbacks, and what had been rounded to blocks before; a sentence each. */
  readonly notices: readonly string[];
}

/**
 * Returns which block type each tensor of a GGUF gets under a mix, as llama.cpp's own quantization chooses it. Throws `unsupported`
 * for a model whose metadata do not say how many blocks and heads it has.
 */
export function blockTypes(
  gguf: Checkpoint,
  metadata: GgufMetadata,
  { mix, weighted }: { readonly mix: Mix; readonly weighted: boolean },
): BlockTypes {
  const tensors = [...gguf.tensors.values()].flatMap(mixTensor);
  const choices = chooseTypes(mix, tensors, { ...modelOf(metadata, gguf.path), weighted });
  const again = tensors.filter(({ name }) => {
    const { dtype } = gguf.tensors.get(name)!;
    return isBlockDtype(dtype) && dtype !== choices.get(name)!.dtype;
  });
  return {
    choices,
    metadata: [
      ['general.quantization_version', { type: 'u32', value: QUANTIZATION_VERSION }],
      ['general.file_type', { type: 'u32', value: mix.fileType }],
    ],
    notices: [...fallbackNotices(tensors, choices), ...(again.length === 0 ? [] : [roundedTwice(gguf, again)])],
  };
}

/** Integers are no weights, whatever their name. */
function mixTensor({ name, shape, dtype }: TensorInfo): MixTensor[] {
  const { kind } = DTYPES[dtype];
  const found = shape.length < 2 || (kind !== 'float' && kind !== 'block') ? undefined : roleOfGguf(name);
  return found === undefined ? [] : [{ name, columns: shape.at(-1)!, ...found }];
}

function roundedTwice(gguf: Checkpoint, again: readonly MixTensor[]): string {
  const dtypes = new Set(again.map(({ name }) => gguf.tensors.get(name)!.dtype));
  const what = again.length === 1 ? '1 tensor had' : `${again.length} tensors had`;
  return `${what} been rounded to ${[...dtypes].join(', ')} before: the errors of both add up.`;
}

function modelOf(metadata: GgufMetadata, file: string): MixModel {
  const name = metadata.get('general.architecture');
  const architecture = name?.type === 'string' ? name.value : '';
  const number = (key: string) => firstNumber(metadata.get(`${architecture}.${key}`));
  const layers = number('block_count');
  const heads = number('attention.head_count');
  if (layers === undefined || heads === undefined) {
    throw new BirdboneError('unsupported', `${file} does not say how many blocks and heads its model has.`, {
      file,
      suggestions: ['Convert it to a float type: --dtype f16'],
    });
  }
  const keyValueHeads = number('attention.head_count_kv') ?? heads;
  const experts = number('expert_count');
  return { layers, heads, keyValueHeads, architecture, ...(experts !== undefined && { experts }) };
}

/** A number, or the first block's of an array. */
function firstNumber(value: GgufValue | undefined): number | undefined {
  const first = value?.type === 'array' ? value.values[0] : value?.value;
  return typeof first === 'number' ? first : undefined;
}

/** Bytes of a tensor's rows, however many dimensions lead to them. */
export function rowsOf({ shape }: TensorInfo): { readonly rows: number; readonly columns: number } {
  const columns = shape.at(-1) ?? 1;
  return { rows: columns === 0 ? 0 : elementsOf(shape) / columns, columns };
}
