/** Runs of bytes that are looked for again: those that a match of deflate is worth its codes for. */
const RUN_BYTES = 4;
/** Places at which a run may have been before, of all: a match at each of them would save a fiftieth of the bytes. */
const MAX_REPEATED = 1 / 256;
const TABLE_BITS = 16;

/** The last run with each hash. */
const runs = new Uint32Array(2 ** TABLE_BITS);

/**
 * Whether deflating these bytes, some thousands of them, would leave more than `part` of them, told without deflating. Huffman codes
 * leave no less than the entropy of single bytes (Shannon 1948), and matches save next to nothing where next to no run of four bytes
 * comes again. What is not dense may still turn out to be.
 */
export function isDense(bytes: Uint8Array, part: number): boolean {
  return entropyOf(bytes) >= 8 * part && repeatedRuns(bytes) <= MAX_REPEATED * bytes.length;
}

/** Of single bytes, in bits a byte. */
function entropyOf(bytes: Uint8Array): number {
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte]! += 1;
  let sum = 0;
  for (const count of counts) if (count > 0) sum += count * Math.log2(count);
  return Math.log2(bytes.length) - sum / bytes.length;
}

/** Places at which a run begins that has begun before; of runs with one hash only the last is remembered. */
function repeatedRuns(bytes: Uint8Array): number {
  runs.fill(0);
  let run = 0;
  let repeated = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    run = (run << 8) | bytes[at]!;
    if (at < RUN_BYTES - 1) continue;
    const place = Math.imul(run, 0x9e37_79b1) >>> (32 - TABLE_BITS);
    if (runs[place] === run >>> 0) repeated += 1;
    runs[place] = run >>> 0;
  }
  return repeated;
}
