import { freemem } from 'node:os';
import type { Checkpoint } from '../checkpoint/index.js';
import type { Decoder, Model } from './decoder.js';

/** The system's cache gets at most this part of the memory that is free: more would push out what is in use. */
const PART_OF_FREE_MEMORY = 0.5;

/** Which block was brought last, of each model. Layers over a model share its decoder. */
const brought = new WeakMap<Decoder, number>();

/**
 * Starts to bring a block's weights from the disk while the caller works on the block before it: into the system's cache of files, so
 * that this process holds nothing of them. Does nothing past the last block, for a block that was the last to be brought, and where
 * the block is too large for the free memory. Resolves when all of it was read; nobody needs to wait for that.
 */
export async function prefetchBlock({ checkpoint, decoder }: Model, index: number): Promise<void> {
  const block = decoder.blocks[index];
  if (block === undefined || checkpoint.prefetch === undefined || brought.get(decoder) === index) return;
  const names = block.linears.map(({ weight }) => weight);
  if (bytesOf(checkpoint, names) > PART_OF_FREE_MEMORY * freemem()) return;
  brought.set(decoder, index);
  for (const name of names) await checkpoint.prefetch(name);
}

function bytesOf({ tensors, aliases }: Checkpoint, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (tensors.get(aliases.get(name) ?? name)?.byteLength ?? 0), 0);
}
