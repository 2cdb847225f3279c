/** 32 codes of b bits are b whole words: the unit in which streams can be cut. */
export const CODES_PER_UNIT = 32;

/** Words of 32 bits that `count` codes of `bits` bits fill, the last in part. */
export function wordsFor(count: number, bits: number): number {
  return Math.ceil((count * bits) / 32);
}

/**
 * Rows of codes (one to a byte) as rows of words: code i of a row occupies bits [i·bits, (i + 1)·bits) of the row's stream, which is
 * little-endian and dense, so that a code may begin in one word and end in the next. Each row begins a word; what it does not fill is
 * zero. Bits of a code beyond `bits` are dropped.
 * Source: vllm-project/compressed-tensors, compressors/pack_quantized/helpers.py (`pack_to_int32`). GPTQ's "32 values in 3 words"
 * (AutoGPTQ, qlinear_cuda_old.py) is the same stream at 3 bits.
 */
export function packRows(codes: Uint8Array, rows: number, bits: number): Uint32Array {
  const columns = rows === 0 ? 0 : codes.length / rows;
  const words = wordsFor(columns, bits);
  const packed = new Uint32Array(rows * words);
  const mask = 2 ** bits - 1;
  for (let row = 0; row < rows; row += 1) {
    let word = row * words;
    let shift = 0;
    for (let column = 0; column < columns; column += 1) {
      const code = codes[row * columns + column]! & mask;
      packed[word]! |= code << shift;
      shift += bits;
      if (shift >= 32) {
        word += 1;
        shift -= 32;
        if (shift > 0) packed[word]! |= code >>> (bits - shift);
      }
    }
  }
  return packed;
}

/** The codes of rows of words, one to a byte: the way back from `packRows`. */
export function unpackRows(packed: Uint32Array, rows: number, columns: number, bits: number): Uint8Array {
  const words = wordsFor(columns, bits);
  const codes = new Uint8Array(rows * columns);
  const mask = 2 ** bits - 1;
  for (let row = 0; row < rows; row += 1) {
    let word = row * words;
    let shift = 0;
    for (let column = 0; column < columns; column += 1) {
      let code = packed[word]! >>> shift;
      shift += bits;
      if (shift >= 32) {
        word += 1;
        shift -= 32;
        if (shift > 0) code |= packed[word]! << (bits - shift);
      }
      codes[row * columns + column] = code & mask;
    }
  }
  return codes;
}
