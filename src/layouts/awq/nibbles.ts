/** Nibble k of a word, the lowest first, holds output ORDER[k] of its eight. Source: AutoAWQ, modules/linear/gemm.py (`order_map`). */
const ORDER = [0, 2, 4, 6, 1, 3, 5, 7] as const;

export const OUTPUTS_PER_WORD = 8;

/**
 * AWQ's rows from words that hold eight inputs of one output: `words` is [inputs / 8, outputs], word (r, o) with inputs 8r … 8r + 7 of
 * output o, lowest nibble first. The result is [inputs, outputs / 8], word (i, c) with outputs 8c … 8c + 7 of input i.
 */
export function awqRows(words: Uint32Array, outputs: number): Uint32Array {
  const result = new Uint32Array(words.length);
  const across = outputs / OUTPUTS_PER_WORD;
  const rows = words.length / outputs;
  for (let row = 0; row < rows; row += 1) {
    for (let word = 0; word < across; word += 1) {
      const from = row * outputs + word * OUTPUTS_PER_WORD;
      for (let input = 0; input < 8; input += 1) {
        let packed = 0;
        for (let k = 0; k < 8; k += 1) packed |= ((words[from + ORDER[k]!]! >>> (4 * input)) & 15) << (4 * k);
        result[(row * 8 + input) * across + word] = packed;
      }
    }
  }
  return result;
}

/**
 * The way back from `awqRows`, for some outputs: `rows` is [inputs, across]; the result has the words of the `count` outputs from those
 * of word `first` on, and zeros in the last word of each where there are no more inputs.
 */
export function wordsOfInputs(
  rows: Uint32Array,
  across: number,
  { first, count }: { readonly first: number; readonly count: number },
): Uint32Array {
  const inputs = rows.length / across;
  const outputs = count * OUTPUTS_PER_WORD;
  const result = new Uint32Array(Math.ceil(inputs / 8) * outputs);
  for (let input = 0; input < inputs; input += 1) {
    const to = Math.floor(input / 8) * outputs;
    const shift = 4 * (input % 8);
    for (let word = 0; word < count; word += 1) {
      const packed = rows[input * across + first + word]!;
      for (let k = 0; k < 8; k += 1) {
        result[to + word * OUTPUTS_PER_WORD + ORDER[k]!]! |= ((packed >>> (4 * k)) & 15) << shift;
      }
    }
  }
  return result;
}

/** Codes of 4 bits, one to a byte [rows, outputs], as AWQ's words [rows, outputs / 8]. */
export function packAwq(codes: Uint8Array): Uint32Array {
  const packed = new Uint32Array(codes.length / OUTPUTS_PER_WORD);
  for (let word = 0; word < packed.length; word += 1) {
    for (let k = 0; k < 8; k += 1) packed[word]! |= codes[word * OUTPUTS_PER_WORD + ORDER[k]!]! << (4 * k);
  }
  return packed;
}

/** The codes of AWQ's words, one to a byte. */
export function unpackAwq(packed: Uint32Array): Uint8Array {
  const codes = new Uint8Array(packed.length * OUTPUTS_PER_WORD);
  for (let word = 0; word < packed.length; word += 1) {
    for (let k = 0; k < 8; k += 1) codes[word * OUTPUTS_PER_WORD + ORDER[k]!] = (packed[word]! >>> (4 * k)) & 15;
  }
  return codes;
}
