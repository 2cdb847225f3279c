/** Bytes of one row of `columns` codes. */
export function rowBytesOf(columns: number, bits: number): number {
  return Math.ceil((columns * bits) / 8);
}

/**
 * Codes [rows, columns] of `bits` bits as dense little-endian bit streams, one for each row: code i is in bits [i · bits, (i + 1) ·
 * bits) of its row, whose last byte is filled up with zeros.
 */
export function packRows(codes: Uint8Array, rows: number, columns: number, bits: number): Uint8Array {
  if (bits === 8) return codes.slice();
  const rowBytes = rowBytesOf(columns, bits);
  const packed = new Uint8Array(rows * rowBytes);
  for (let row = 0; row < rows; row += 1) {
    let to = row * rowBytes;
    let pending = 0;
    let count = 0;
    const end = (row + 1) * columns;
    for (let i = row * columns; i < end; i += 1) {
      pending |= codes[i]! << count;
      count += bits;
      if (count >= 8) {
        packed[to++] = pending;
        pending >>>= 8;
        count -= 8;
      }
    }
    if (count > 0) packed[to] = pending;
  }
  return packed;
}

/** The codes that `packRows` packed. */
export function unpackRows(packed: Uint8Array, rows: number, columns: number, bits: number): Uint8Array {
  if (bits === 8) return packed.slice();
  const rowBytes = rowBytesOf(columns, bits);
  const codes = new Uint8Array(rows * columns);
  const mask = 2 ** bits - 1;
  for (let row = 0; row < rows; row += 1) {
    let from = row * rowBytes;
    let pending = 0;
    let count = 0;
    const end = (row + 1) * columns;
    for (let i = row * columns; i < end; i += 1) {
      if (count < bits) {
        pending |= packed[from++]! << count;
        count += 8;
      }
      codes[i] = pending & mask;
      pending >>>= bits;
      count -= bits;
    }
  }
  return codes;
}
