import type { PlacedTensor } from './view-layout.js';

/** Fills `bytes` from `offset` on, counted from the tensor's first element in its storage. */
export type ReadStorage = (offset: number, bytes: Uint8Array) => void;

/** A part of a tensor that is whole in all its dimensions, the last ones of the tensor's. */
interface Box {
  readonly sizes: readonly number[];
  /** Its first element, in the storage and in the result. */
  readonly from: number;
  readonly to: number;
}

/** One dimension of a box: how far its neighbours are apart in the storage and in the result, in words. */
interface Axis {
  readonly size: number;
  readonly stored: number;
  readonly result: number;
}

/** What is read at once while elements are gathered from all over a storage. */
const WINDOW_BYTES = 1024 * 1024;
/** A window may hold so many times more than is wanted of it; beyond, reading each piece alone costs less. */
const MAX_WASTE = 32;
/** A page: reading less of a file costs as much. */
const PAGE_BYTES = 4096;
/** Elements are moved as words of at most 4 bytes: as floats of 8, the payload of a NaN could change on the way. */
const MAX_WORD_BYTES = 4;

/**
 * Elements `[first, first + count)` of a tensor in row-major order, wherever its strides put them: views that are transposed,
 * overlap, step over elements, or repeat one (stride 0). Beside the result it needs one window of memory, whatever the
 * storage's size.
 */
export function gatherElements(
  tensor: PlacedTensor,
  { first, count }: { readonly first: number; readonly count: number },
  read: ReadStorage,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count * tensor.elementBytes);
  const wordBytes = Math.min(tensor.elementBytes, MAX_WORD_BYTES);
  const wordsEach = tensor.elementBytes / wordBytes;
  const span = tensor.info.shape.reduce((sum, size, i) => sum + (size - 1) * tensor.strides[i]!, 1);
  const window = new Uint8Array(Math.min(WINDOW_BYTES, span * tensor.elementBytes));
  const copier = new BoxCopier(wordBytes, { window, result: bytes }, read);
  const boxes: Box[] = [];
  collectBoxes(tensor, { dimension: 0, first, end: first + count, from: 0, to: 0 }, boxes);
  for (const { sizes, from, to } of boxes) {
    const strides = tensor.strides.slice(tensor.strides.length - sizes.length);
    copier.copy(axesOf(sizes, strides, wordsEach), from * wordsEach, to * wordsEach);
  }
  return bytes;
}

interface ElementRange {
  /** The one that `first` and `end` count elements of, all later ones included. */
  readonly dimension: number;
  readonly first: number;
  readonly end: number;
  readonly from: number;
  readonly to: number;
}

/** Cuts a range into boxes: for each dimension the rest of a row, whole rows, and the start of a row. */
function collectBoxes(tensor: PlacedTensor, range: ElementRange, boxes: Box[]): void {
  const { dimension, first, end, from, to } = range;
  if (first >= end) return;
  const inner = tensor.info.shape.slice(dimension + 1);
  if (dimension === tensor.strides.length) {
    boxes.push({ sizes: [], from, to });
    return;
  }
  const rowElements = inner.reduce((product, size) => product * size, 1);
  const stride = tensor.strides[dimension]!;
  const row = Math.floor(first / rowElements);
  const rowStart = row * rowElements;
  let next: number;
  if (first === rowStart && end >= rowStart + rowElements) {
    const rows = Math.floor((end - first) / rowElements);
    next = first + rows * rowElements;
    boxes.push({ sizes: [rows, ...inner], from: from + row * stride, to });
  } else {
    next = Math.min(end, rowStart + rowElements);
    const within = { first: first - rowStart, end: next - rowStart, from: from + row * stride, to };
    collectBoxes(tensor, { dimension: dimension + 1, ...within }, boxes);
  }
  collectBoxes(tensor, { ...range, first: next, to: to + next - first }, boxes);
}

/** The axes of a box, in words, from the widest apart in the storage to the closest. */
function axesOf(sizes: readonly number[], strides: readonly number[], wordsEach: number): Axis[] {
  const axes: Axis[] = wordsEach === 1 ? [] : [{ size: wordsEach, stored: 1, result: 1 }];
  let result = wordsEach;
  for (let i = sizes.length - 1; i >= 0; i -= 1) {
    const size = sizes[i]!;
    if (size > 1) axes.push({ size, stored: strides[i]! * wordsEach, result });
    result *= size;
  }
  return axes.sort((left, right) => right.stored - left.stored);
}

type Words = Uint8Array | Uint16Array | Uint32Array;

class BoxCopier {
  readonly #wordBytes: number;
  readonly #result: Words;
  readonly #windowBytes: Uint8Array;
  readonly #window: Words;
  readonly #read: ReadStorage;

  constructor(
    wordBytes: number,
    { window, result }: Readonly<Record<'window' | 'result', Uint8Array<ArrayBuffer>>>,
    read: ReadStorage,
  ) {
    const asWords = (bytes: Uint8Array<ArrayBuffer>): Words => {
      if (wordBytes === 1) return bytes;
      return wordBytes === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
    };
    this.#wordBytes = wordBytes;
    this.#result = asWords(result);
    this.#windowBytes = window;
    this.#window = asWords(window);
    this.#read = read;
  }

  /** Copies a box whose first word is word `from` of the storage to where word `to` of the result is. */
  copy(axes: readonly Axis[], from: number, to: number): void {
    const { tile, inner } = this.#fit(axes);
    const outer = axes.length - inner.length - 1;
    if (outer < 0) {
      this.#copyWindow(inner, from, to);
      return;
    }
    const [widest, ...closer] = axes as readonly [Axis, ...Axis[]];
    // The axis right above what fits is cut into tiles, where that is worth it; those further out are walked.
    const step = outer === 0 ? tile : 1;
    for (let i = 0; i < widest.size; i += step) {
      const size = Math.min(step, widest.size - i);
      const part = size === 1 ? closer : [{ ...widest, size }, ...closer];
      this.copy(part, from + i * widest.stored, to + i * widest.result);
    }
  }

  /** The closest axes that one window holds together, and how much of the next one would fit as well. */
  #fit(axes: readonly Axis[]): { tile: number; inner: readonly Axis[] } {
    let span = 1;
    let wanted = 1;
    for (let i = axes.length - 1; i >= 0; i -= 1) {
      const { size, stored } = axes[i]!;
      const room = this.#window.length - span;
      const most = stored === 0 ? size : 1 + Math.floor(room / stored);
      const tile = Math.min(size, Math.max(1, most));
      const bytes = ((tile - 1) * stored + span) * this.#wordBytes;
      const useful = wanted * (stored === 0 ? 1 : tile) * this.#wordBytes;
      const isDense = bytes <= PAGE_BYTES || bytes <= useful * MAX_WASTE;
      if (!isDense || tile < size) return { tile: isDense ? tile : 1, inner: axes.slice(i + 1) };
      span += (size - 1) * stored;
      if (stored !== 0) wanted *= size;
    }
    return { tile: 1, inner: axes };
  }

  #copyWindow(axes: readonly Axis[], from: number, to: number): void {
    const words = axes.reduce((span, { size, stored }) => span + (size - 1) * stored, 1);
    this.#read(from * this.#wordBytes, this.#windowBytes.subarray(0, words * this.#wordBytes));
    this.#scatter(axes, 0, to);
  }

  #scatter(axes: readonly Axis[], from: number, to: number): void {
    const [widest, ...closer] = axes;
    if (widest === undefined) {
      this.#result[to] = this.#window[from]!;
      return;
    }
    const { size, stored, result } = widest;
    if (closer.length > 0) {
      for (let i = 0; i < size; i += 1) this.#scatter(closer, from + i * stored, to + i * result);
    } else if (stored === 1 && result === 1) {
      this.#result.set(this.#window.subarray(from, from + size), to);
    } else {
      for (let i = 0; i < size; i += 1) this.#result[to + i * result] = this.#window[from + i * stored]!;
    }
  }
}
