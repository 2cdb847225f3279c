import { wasm } from '#widen';
import { type Memory, memoryOf, openKernel } from './wasm-kernel.js';

/** Widens 16-bit floats to f32: `count` of them from one place of its memory to another. Source of the arithmetic: widen.wat. */
export interface WidenKernel {
  BF16(input: number, count: number, output: number): void;
  F16(input: number, count: number, output: number): void;
}

/** Room that the kernel wants behind what it reads and what it writes, in bytes. */
export const WIDEN_ROOM = 32;

/** The kernel that widens what lies in a memory. */
export function widenKernel(memory: Memory): WidenKernel {
  return openKernel<WidenKernel>(wasm, memory);
}

/** Values that are widened in one go: 192 KiB with their codes, which stay in a core's cache on their way out of the kernel's memory. */
const STRIP = 32_768;
const OUTPUT = 2 * STRIP + WIDEN_ROOM;

/** A thread's kernel, and the parts of its memory. */
interface Strips {
  readonly kernel: WidenKernel;
  readonly codes: Uint8Array;
  readonly values: Float32Array;
}

let strips: Strips | undefined;

function theStrips(): Strips {
  if (strips !== undefined) return strips;
  const memory = memoryOf(OUTPUT + 4 * STRIP + WIDEN_ROOM);
  strips = {
    kernel: widenKernel(memory),
    codes: new Uint8Array(memory.buffer, 0, 2 * STRIP),
    values: new Float32Array(memory.buffer, OUTPUT, STRIP),
  };
  return strips;
}

/** Writes the values of packed 16-bit floats over all of `target`; `bytes`, twice as many, may start at any address. */
export function widenHalves(bytes: Uint8Array, dtype: 'BF16' | 'F16', target: Float32Array): void {
  const { kernel, codes, values } = theStrips();
  for (let start = 0; start < target.length; start += STRIP) {
    const count = Math.min(STRIP, target.length - start);
    codes.set(bytes.subarray(2 * start, 2 * (start + count)));
    kernel[dtype](0, count, OUTPUT);
    target.set(count === STRIP ? values : values.subarray(0, count), start);
  }
}
