/**
 * Which weights of one matrix stay. sparsity = fraction removed, density = fraction kept, mask bit 1 = kept.
 * `bits` holds rows × columns bits, row-major, bit i at byte i >> 3, lowest bit first.
 */
export interface Mask {
  readonly rows: number;
  readonly columns: number;
  readonly bits: Uint8Array;
}
