/**
 * Packings written down element by element from the texts of the layouts, one bit or one nibble at a time, sharing nothing with what
 * they check.
 */

/**
 * "Element i occupies bits [i·b, (i + 1)·b) of the row's bit stream, little-endian inside int32, dense across words": the words of each
 * row, the last filled with zeros.
 */
export function denseWords(codes: readonly (readonly number[])[], bits: number): number[][] {
  return codes.map((row) => {
    const words = new Array<number>(Math.ceil((row.length * bits) / 32)).fill(0);
    row.forEach((code, element) => {
      for (let bit = 0; bit < bits; bit += 1) {
        const place = element * bits + bit;
        if (Math.floor(code / 2 ** bit) % 2 === 1) words[Math.floor(place / 32)]! += 2 ** (place % 32);
      }
    });
    return words;
  });
}

/** "⌊32 / b⌋ codes to a word, none reaching over its end", as files before dense packing have them. */
export function paddedWords(codes: readonly (readonly number[])[], bits: number): number[][] {
  const each = Math.floor(32 / bits);
  return codes.map((row) => {
    const words = new Array<number>(Math.ceil(row.length / each)).fill(0);
    row.forEach((code, element) => {
      words[Math.floor(element / each)]! += code * 2 ** (bits * (element % each));
    });
    return words;
  });
}

/** AutoGPTQ's loop over 32 codes of 3 bits: 10 and 2 bits of one, 1 bit and 10 and 1 bit, 2 bits and 10. */
function threeWords(codes: readonly number[]): number[] {
  const words = [0, 0, 0];
  for (let j = 0; j < 10; j += 1) words[0]! += codes[j]! * 2 ** (3 * j);
  words[0]! += (codes[10]! % 4) * 2 ** 30;
  words[1]! += Math.floor(codes[10]! / 4) % 2;
  for (let j = 0; j < 10; j += 1) words[1]! += codes[11 + j]! * 2 ** (3 * j + 1);
  words[1]! += (codes[21]! % 2) * 2 ** 31;
  words[2]! += Math.floor(codes[21]! / 2) % 4;
  for (let j = 0; j < 10; j += 1) words[2]! += codes[22 + j]! * 2 ** (3 * j + 2);
  return words;
}

/** GPTQ's words of one line of codes, whose length is a multiple of 32: 32 / b to a word, or 32 to three. */
export function gptqWords(codes: readonly number[], bits: number): number[] {
  if (bits === 3) {
    return Array.from({ length: codes.length / 32 }, (_, at) => threeWords(codes.slice(32 * at, 32 * at + 32))).flat();
  }
  return paddedWords([codes], bits)[0]!;
}

/** "Nibble k of word c holds output column 8c + [0, 2, 4, 6, 1, 3, 5, 7][k]." */
export function awqWords(codes: readonly number[]): number[] {
  const order = [0, 2, 4, 6, 1, 3, 5, 7];
  return Array.from({ length: codes.length / 8 }, (_, c) =>
    order.reduce((word, column, k) => word + codes[8 * c + column]! * 16 ** k, 0),
  );
}

/** Rows of a row-major array. */
export function rowsOf(values: ArrayLike<number>, rows: number): number[][] {
  const columns = values.length / rows;
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, c) => values[row * columns + c]!),
  );
}

/** Rows as columns. */
export function flipped(rows: readonly (readonly number[])[]): number[][] {
  return rows[0]!.map((_, column) => rows.map((row) => row[column]!));
}

/** Words as the bytes of int32, little-endian. */
export function bytesOfWords(words: readonly (readonly number[])[]): Uint8Array {
  const flat = words.flat();
  const view = new DataView(new ArrayBuffer(flat.length * 4));
  flat.forEach((word, index) => {
    view.setUint32(index * 4, word, true);
  });
  return new Uint8Array(view.buffer);
}
