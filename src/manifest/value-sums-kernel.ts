import { wasm } from '#value-sums';
import type { Dtype } from '../tensor/index.js';

/** What the kernel says of two runs of elements; the sums are as in `ValueSums`. */
export interface KernelSums {
  readonly squaresBefore: number;
  readonly squaresAfter: number;
  readonly products: number;
  readonly squaresOfChange: number;
  readonly largestSquare: number;
  readonly changed: number;
  readonly nonZeroBefore: number;
  readonly nonZeroAfter: number;
}

/** The kernel's number of each element type that it takes. */
const KINDS: Partial<Record<Dtype, number>> = { BF16: 0, F16: 1, F32: 2 };

/** Where the results lie, 8 bytes each but for the counts, and where the elements begin. */
const OUT = 0;
const ELEMENTS = 64;
/** The kernel takes this many elements a turn. */
const TURN = 4;
const PAGE_BYTES = 65_536;

/** What is used of WebAssembly, which the types of Node 20 do not declare. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

interface Kernel {
  readonly memory: Memory;
  sum(kind: number, before: number, after: number, count: number, out: number): void;
}

let kernel: Kernel | undefined;

export function hasKernel(dtype: Dtype): boolean {
  return KINDS[dtype] !== undefined;
}

/**
 * Sums over two runs of equally many packed elements of the same type, which `hasKernel`, in the order of four lanes: the same
 * on every machine. Where an element is not finite the sums are not either, or undefined. It needs twice the bytes in memory, once for
 * all calls.
 *
 * Source of the arithmetic: value-sums.wat.
 */
export function sumByKernel(dtype: Dtype, before: Uint8Array, after: Uint8Array): KernelSums | undefined {
  kernel ??= new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports as Kernel;
  const elementBytes = dtype === 'F32' ? 4 : 2;
  const turnBytes = TURN * elementBytes;
  const sideBytes = Math.ceil(before.length / turnBytes) * turnBytes;
  place(kernel.memory, { before, after, sideBytes });
  kernel.sum(KINDS[dtype]!, ELEMENTS, ELEMENTS + sideBytes, sideBytes / elementBytes, OUT);
  const out = new DataView(kernel.memory.buffer, OUT, ELEMENTS);
  const float = (index: number): number => out.getFloat64(index * 8, true);
  const count = (index: number): number => out.getUint32(40 + index * 4, true);
  const hasSpecialHalf = count(3) !== 0;
  if (hasSpecialHalf) return undefined;
  return {
    squaresBefore: float(0),
    squaresAfter: float(1),
    products: float(2),
    squaresOfChange: float(3),
    largestSquare: float(4),
    changed: count(0),
    nonZeroBefore: count(1),
    nonZeroAfter: count(2),
  };
}

/** Copies both sides into the kernel's memory, filled up with zeros to whole turns. */
function place(
  memory: Memory,
  { before, after, sideBytes }: { before: Uint8Array; after: Uint8Array; sideBytes: number },
): void {
  const missing = ELEMENTS + 2 * sideBytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
  const bytes = new Uint8Array(memory.buffer);
  for (const [side, start] of [
    [before, ELEMENTS],
    [after, ELEMENTS + sideBytes],
  ] as const) {
    bytes.set(side, start);
    bytes.fill(0, start + side.length, start + sideBytes);
  }
}
