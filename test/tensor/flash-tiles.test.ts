import { describe, expect, it } from 'vitest';
import { flashProgram, tilesFor, WIDEST_HEAD } from '../../src/tensor/wgsl/flash-attention-program.js';
import type { Gpu } from '../../src/tensor/wgsl/kernel.js';
import { wgslOf } from '../../src/tensor/wgsl/program.js';

/** What WebGPU grants everywhere, what Apple's and most other GPUs have, and NVIDIA's. */
const STORAGE_BYTES = [16384, 32768, 49152];
const ELEMENT_BYTES: Readonly<Record<string, number>> = { f32: 4, vec2f: 8, vec4f: 16 };

function sharedBytes(wgsl: string): number {
  const arrays = [...wgsl.matchAll(/var<workgroup> \w+: array<(\w+), (\d+)>;/g)];
  expect(arrays).toHaveLength(4);
  return arrays.reduce((sum, [, type, count]) => sum + ELEMENT_BYTES[type!]! * Number(count), 0);
}

describe('tiles of attention', () => {
  it.each(STORAGE_BYTES)(
    'take no more than %d bytes of shared memory, at any width',
    (maxComputeWorkgroupStorageSize) => {
      const gpu = { limits: { maxComputeWorkgroupStorageSize } as Gpu['limits'], software: false };
      for (let width = 1; width <= WIDEST_HEAD; width += 1) {
        const bytes = sharedBytes(wgslOf(flashProgram(width, tilesFor(width, gpu))));
        expect(bytes).toBeLessThanOrEqual(maxComputeWorkgroupStorageSize);
      }
    },
  );

  it('are one program for a width, whatever the text', () => {
    const [small, large] = [16384, 32768].map((bytes) =>
      tilesFor(64, { limits: { maxComputeWorkgroupStorageSize: bytes } as Gpu['limits'], software: false }),
    );
    expect(flashProgram(64, small!).name).not.toBe(flashProgram(64, large!).name);
    expect(flashProgram(64, small!).name).not.toBe(flashProgram(64, { ...small!, rolled: true }).name);
  });
});
