import { BirdboneError } from '../../errors.js';
import { DTYPES } from '../../tensor/index.js';
import type { Checkpoint, TensorInfo } from '../checkpoint.js';
import { quoted } from '../files/quote.js';
import { tensorOf } from '../reading.js';
import { rangeWithin } from '../safetensors/safetensors.js';
import { elementsOf } from '../tensor-info.js';
import type { Layer } from './layer.js';
import { zeroRemoved } from './mask-bytes.js';

/**
 * A checkpoint that reads as the base with the layers applied in order, so later layers win: a removed element has zero bytes,
 * a replaced tensor its new type, shape and bytes, and added tensors are there with the others. Nothing is copied or changed; each read takes from the files only the range
 * it needs, which must not split an element of a masked tensor. Aliases resolve first: what a layer does to a stored tensor
 * holds under all its names.
 *
 * Closing it closes the base; layers stay their owner's to close. Throws `mismatch` for a layer that changes a tensor which is
 * not stored or adds one that is, or whose mask has another number of bits than the tensor has elements of whole bytes.
 */
export function overlay(base: Checkpoint, layers: readonly Layer[]): Checkpoint {
  const tensors = new Map(base.tensors);
  for (const layer of layers) {
    for (const [name, info] of layer.added) {
      refuseStored(base, tensors, { name, layer });
      tensors.set(name, info);
    }
    for (const [name, info] of layer.values) {
      storedIn(tensors, name, layer);
      tensors.set(name, info);
    }
    for (const name of layer.masks.keys()) refuseMisfit(storedIn(tensors, name, layer), layer);
    for (const info of layer.xors.values()) refuseOther(storedIn(tensors, info.name, layer), info, layer);
  }
  const stack: Checkpoint = {
    path: base.path,
    format: base.format,
    tensors: layers.some(({ added }) => added.size > 0) ? inNameOrder(tensors) : tensors,
    aliases: base.aliases,
    metadata: base.metadata,
    ...(base.companions && { companions: base.companions }),
    ...(base.outdated && { outdated: base.outdated }),
    ...(base.notices && { notices: base.notices }),
    async read(name, range) {
      const info = tensorOf(stack, name);
      return readThrough(base, layers, info, rangeWithin(info, range));
    },
    ...(base.prefetch && {
      async prefetch(name) {
        if (!layers.some(({ values }) => values.has(name))) await base.prefetch?.(name);
      },
    }),
    close: () => base.close(),
  };
  return stack;
}

interface Range {
  readonly offset: number;
  readonly length: number;
}

async function readThrough(base: Checkpoint, layers: readonly Layer[], info: TensorInfo, range: Range) {
  const { name } = info;
  const replacedBy = layers.findLastIndex(({ values, added }) => values.has(name) || added.has(name));
  const bytes = await (layers[replacedBy]?.readValues(name, range) ?? base.read(name, range));
  for (const layer of layers.slice(replacedBy + 1)) {
    if (layer.masks.has(name)) await removeElements(bytes, layer, info, range);
    else if (layer.xors.has(name)) flipBits(bytes, await layer.readDifference(name, range));
  }
  return bytes;
}

/** Changes `bytes` to their XOR with others, in place. */
export function flipBits(bytes: Uint8Array, others: Uint8Array): void {
  for (let index = 0; index < bytes.length; index += 1) bytes[index]! ^= others[index]!;
}

async function removeElements(bytes: Uint8Array, layer: Layer, info: TensorInfo, range: Range): Promise<void> {
  const elementBytes = DTYPES[info.dtype].bits / 8;
  const first = range.offset / elementBytes;
  const count = range.length / elementBytes;
  if (!Number.isInteger(first) || !Number.isInteger(count)) {
    throw new RangeError(
      `Bytes ${range.offset} + ${range.length} of ${info.name} split an element of ${elementBytes}.`,
    );
  }
  const offset = Math.floor(first / 8);
  const length = Math.ceil((first + count) / 8) - offset;
  const bits = await layer.readMask(info.name, { offset, length });
  zeroRemoved(bytes, elementBytes, { bits, first: first - offset * 8 });
}

/** The tensor as a layer expects to find it, or `mismatch`. */
export function storedIn(tensors: ReadonlyMap<string, TensorInfo>, name: string, layer: Layer): TensorInfo {
  const info = tensors.get(name);
  if (info !== undefined) return info;
  throw mismatch(layer, name, 'which the base does not store');
}

/** Throws `mismatch` for a tensor that a layer adds and that is there, under its own name or as an alias. */
function refuseStored(
  { aliases }: Checkpoint,
  tensors: ReadonlyMap<string, TensorInfo>,
  { name, layer }: { readonly name: string; readonly layer: Layer },
): void {
  if (!tensors.has(name) && !aliases.has(name)) return;
  throw mismatch(layer, name, 'which it adds and the base has already');
}

function inNameOrder(tensors: ReadonlyMap<string, TensorInfo>): ReadonlyMap<string, TensorInfo> {
  return new Map([...tensors].sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** Throws `mismatch` unless a tensor has the type and shape of the one that a layer changes. */
export function refuseOther(info: TensorInfo, expected: TensorInfo, layer: Layer): void {
  const [found, changed] = [info, expected].map(({ dtype, shape }) => `${dtype} [${shape.join(', ')}]`);
  if (found !== changed) throw mismatch(layer, info.name, `which is ${found}, where the layer is of ${changed}`);
}

export function refuseMisfit(info: TensorInfo, layer: Layer): void {
  const { bits } = DTYPES[info.dtype];
  if (bits % 8 !== 0) throw mismatch(layer, info.name, `whose elements of ${bits} bits cannot be masked one by one`);
  const count = elementsOf(info.shape);
  const { byteLength, elements = count } = layer.masks.get(info.name)!;
  if (elements === count && byteLength === Math.ceil(count / 8)) return;
  throw mismatch(layer, info.name, `which has ${count} elements, where the mask has ${byteLength} bytes of bits`);
}

function mismatch(layer: Layer, tensor: string, problem: string): BirdboneError {
  return new BirdboneError('mismatch', `${layer.path} does not fit: it changes tensor ${quoted(tensor)}, ${problem}.`, {
    file: layer.path,
    tensor,
    suggestions: ['Use the base model that the run was started with.'],
  });
}
