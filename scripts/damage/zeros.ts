import { type Checkpoint, readFloats } from '../../src/checkpoint/index.js';

/** One bit for each element, first element lowest: 0 where the tensor is 0. */
export async function maskOfZeros(checkpoint: Checkpoint, name: string): Promise<Uint8Array> {
  const values = await readFloats(checkpoint, name);
  const bits = new Uint8Array(Math.ceil(values.length / 8));
  for (const [i, value] of values.entries()) if (value !== 0) bits[Math.floor(i / 8)]! |= 1 << (i % 8);
  return bits;
}
