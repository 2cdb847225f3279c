import type { FuzzFormat } from './fuzz-format.js';
import { runCase, signatureOf } from './one-case.js';

const MAX_TRIES = 3000;

/** A shorter input that fails in the same words, found by leaving out pieces, from halves down to single bytes. */
export async function minimise(format: FuzzFormat, bytes: Uint8Array, signature: string): Promise<Uint8Array> {
  let smallest = bytes;
  let tries = 0;
  for (let piece = Math.ceil(bytes.length / 2); piece >= 1; piece = piece === 1 ? 0 : Math.ceil(piece / 2)) {
    for (let at = 0; at < smallest.length && tries < MAX_TRIES; tries += 1) {
      const shorter = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + piece)]);
      const { verdict, error } = await runCase(format, shorter);
      if (verdict === 'failed' && signatureOf(error) === signature) smallest = shorter;
      else at += piece;
    }
  }
  return smallest;
}
