import {
  type Checkpoint,
  elementsOf as count,
  type JsonObject,
  quoted,
  type TensorInfo,
  unreadable,
} from '../checkpoint/index.js';
import { expectPart, FLOAT_DTYPES } from '../coding/index.js';
import type { Dtype } from '../tensor/index.js';
import type { LayoutExtras, QuantizedCheckpoint } from './layout.js';
import { asStored, stripView, type ViewedTensor } from './strips.js';

/** Files beside config.json that speak of the layout. */
const QUANTIZATION_FILES = ['quantize_config.json', 'quant_config.json'];

/** What a layout's reader found. */
export interface Found {
  readonly layout: string;
  /** The tensors of quantized modules in the native form. */
  readonly tensors: readonly ViewedTensor[];
  /** Stored tensors that these are made of, or that say nothing of a weight. */
  readonly consumed: ReadonlySet<string>;
  readonly extras?: LayoutExtras;
  readonly notices?: readonly string[];
}

/** The native form of a checkpoint: what was found in place of what it was found in, and a config.json without the layout. */
export function nativeView(source: Checkpoint, config: JsonObject, found: Found): QuantizedCheckpoint {
  const rest = [...source.tensors.values()].filter(({ name }) => !found.consumed.has(name));
  const made = new Set(found.tensors.map(({ info }) => info.name));
  const twice = rest.find(({ name }) => made.has(name));
  if (twice !== undefined) throw wrongTensor(source, twice.name, 'is stored as it is and quantized');
  const { quantization_config: _, ...plain } = config;
  const view = stripView(source, [...rest.map(asStored), ...found.tensors]);
  return {
    ...view,
    companions: new Map([...(source.companions ?? []), ['config.json', `${JSON.stringify(plain, undefined, 2)}\n`]]),
    outdated: [...(source.outdated ?? []), ...QUANTIZATION_FILES],
    notices: [...(source.notices ?? []), ...(found.notices ?? [])],
    layout: found.layout,
    extras: found.extras ?? {},
  };
}

/** Modules that have a tensor of that name, in name order. */
export function modulesWith({ tensors }: Checkpoint, suffix: string): string[] {
  return [...tensors.keys()].filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -suffix.length));
}

/** The stored matrix, of one of these types. Throws `unreadable`, naming the tensor, unless it is there with two axes and elements. */
export function expectMatrix(source: Checkpoint, name: string, dtypes: readonly Dtype[]): TensorInfo {
  const shape = source.tensors.get(name)?.shape ?? [];
  const info = expectPart(source, { name, dtypes, shape });
  if (shape.length === 2 && count(shape) > 0) return info;
  throw unreadable(source.path, `${quoted(name)} has the shape [${shape.join(', ')}], and must be a matrix`, {
    tensor: name,
  });
}

/** The stored scales of that shape, in any type that scales have. */
export function expectScales(source: Checkpoint, name: string, shape: readonly number[]): TensorInfo {
  return expectPart(source, { name, dtypes: FLOAT_DTYPES, shape });
}

/** An error about one tensor of a file. */
export function wrongTensor(source: Checkpoint, tensor: string, problem: string) {
  return unreadable(source.path, `${quoted(tensor)} ${problem}`, { tensor });
}
