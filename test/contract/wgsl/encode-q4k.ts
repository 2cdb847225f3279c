import type { KernelCase, KernelCases } from './kernel-case.js';

/**
 * Blocks that every way to search them codes alike: sub-blocks whose values are 16 steps from their minimum on, so that the first
 * trial errs by 0. What is expected is put together by hand from ggml's description of the block.
 */
function ramps(name: string, rows: number, step: (block: number, sub: number) => number): KernelCase {
  const columns = 512;
  const data = new Float32Array(rows * columns);
  const words = new Int32Array(rows * 2 * 36);
  const bytes = new DataView(words.buffer);
  for (let block = 0; block < rows * 2; block += 1) {
    const at = block * 144;
    const unit = Math.max(...Array.from({ length: 8 }, (_, sub) => step(block, sub)));
    bytes.setUint16(at, half(unit), true);
    bytes.setUint16(at + 2, half(8 * unit), true);
    for (let sub = 0; sub < 8; sub += 1) {
      const code = (63 * step(block, sub)) / unit;
      put6(bytes, at + 4, sub, code);
      for (let i = 0; i < 32; i += 1) {
        const value = (i * 7 + sub) % 16;
        data[block * 256 + sub * 32 + i] = 63 * step(block, sub) * (value - 8);
        const place = at + 16 + 32 * (sub >> 1) + i;
        bytes.setUint8(place, bytes.getUint8(place) | (value << (4 * (sub % 2))));
      }
    }
  }
  const expected = () => [{ data: words, shape: [rows, 72], tolerance: 0 }];
  return { name, inputs: { values: { data, shape: [rows, columns] } }, expected };
}

/** The code of sub-block `sub` as scale and as minimum. */
function put6(bytes: DataView, at: number, sub: number, code: number): void {
  const or = (place: number, value: number) => bytes.setUint8(place, bytes.getUint8(place) | value);
  if (sub < 4) {
    or(at + sub, code);
    or(at + 4 + sub, code);
  } else {
    or(at + sub - 4, (code >> 4) << 6);
    or(at + sub, (code >> 4) << 6);
    or(at + 4 + sub, (code & 15) | ((code & 15) << 4));
  }
}

/** Of a power of two. */
function half(value: number): number {
  return (Math.log2(value) + 15) << 10;
}

const zeros: KernelCase = {
  name: 'zeros',
  inputs: { values: { data: new Float32Array(256), shape: [1, 256] } },
  expected: () => [{ data: new Int32Array(36), shape: [1, 36], tolerance: 0 }],
};

export const encodeQ4kCases: KernelCases = {
  operation: 'birdbone.EncodeQ4K',
  cases: [
    zeros,
    ramps('sub-blocks alike', 1, () => 2 ** -8),
    ramps('other steps in each of nine rows', 9, (block) => 2 ** -(block % 11)),
  ],
};
