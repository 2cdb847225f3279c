import type { Checkpoint, TensorInfo } from '../checkpoint/index.js';
import { CHUNK_ELEMENTS, elementBytes } from '../differences/index.js';
import type { TensorStatus } from './diff-report.js';

/** One name and what each checkpoint has under it. At least one side is there. */
export interface TensorPair {
  readonly name: string;
  readonly before: TensorInfo | undefined;
  readonly after: TensorInfo | undefined;
}

export interface MatchedPair extends TensorPair {
  readonly before: TensorInfo;
  readonly after: TensorInfo;
}

/**
 * Every tensor that is stored on either side, in name order. A name that is an alias on one side stands for the tensor it
 * points to there, so tying or untying weights of equal values is no change of a tensor.
 */
export function pairTensors(before: Checkpoint, after: Checkpoint): TensorPair[] {
  const names = [...new Set([...before.tensors.keys(), ...after.tensors.keys()])].sort();
  return names.map((name) => ({ name, before: find(before, name), after: find(after, name) }));
}

function find(checkpoint: Checkpoint, name: string): TensorInfo | undefined {
  return checkpoint.tensors.get(checkpoint.aliases.get(name) ?? name);
}

/** What can be told without reading: `identical` is still to be proved. */
export function statusOf(pair: TensorPair): TensorStatus {
  if (pair.before === undefined) return 'added';
  if (pair.after === undefined) return 'removed';
  if (pair.before.shape.join() !== pair.after.shape.join()) return 'reshaped';
  return pair.before.dtype === pair.after.dtype ? 'identical' : 'changed';
}

/** The byte ranges of a matched pair, chunk by chunk; both ranges of a chunk cover the same elements. */
export function* rangesOf({ before, after }: MatchedPair) {
  for (let chunk = 0; chunk * CHUNK_ELEMENTS * elementBytes(before.dtype) < before.byteLength; chunk += 1) {
    yield { before: rangeOf(before, chunk), after: rangeOf(after, chunk) };
  }
}

function rangeOf(info: TensorInfo, chunk: number): { offset: number; length: number } {
  const chunkBytes = CHUNK_ELEMENTS * elementBytes(info.dtype);
  const offset = chunk * chunkBytes;
  return { offset, length: Math.min(chunkBytes, info.byteLength - offset) };
}
