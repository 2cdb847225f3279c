/** Consecutive indices from `start`, at least one. */
export interface IndexRange {
  readonly start: number;
  readonly count: number;
}

/** The same indices as few ranges as can be: ascending, disjoint and not touching. */
export function mergeRanges(ranges: Iterable<IndexRange>): IndexRange[] {
  const merged: { start: number; count: number }[] = [];
  for (const { start, count } of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last.start + last.count) {
      last.count = Math.max(last.count, start + count - last.start);
    } else if (count > 0) {
      merged.push({ start, count });
    }
  }
  return merged;
}

/** What of `from` is not in `removed`; both merged, and so is the result. */
export function subtractRanges(from: readonly IndexRange[], removed: readonly IndexRange[]): IndexRange[] {
  const left: IndexRange[] = [];
  let next = 0;
  for (const { start, count } of from) {
    const end = start + count;
    let at = start;
    while (next < removed.length && endOf(removed[next]!) <= at) next += 1;
    for (let i = next; i < removed.length && removed[i]!.start < end; i += 1) {
      if (removed[i]!.start > at) left.push({ start: at, count: removed[i]!.start - at });
      at = Math.max(at, endOf(removed[i]!));
    }
    if (at < end) left.push({ start: at, count: end - at });
  }
  return left;
}

/** What of the indices below `size` is not in the merged `ranges`. */
export function remainingRanges(ranges: readonly IndexRange[], size: number): IndexRange[] {
  return size === 0 ? [] : subtractRanges([{ start: 0, count: size }], ranges);
}

/** How many indices the merged ranges hold. */
export function countOf(ranges: readonly IndexRange[]): number {
  return ranges.reduce((sum, { count }) => sum + count, 0);
}

/** Whether the merged ranges hold `index`; by bisection, as masks of thousands of channels are asked about each. */
export function holdsIndex(ranges: readonly IndexRange[], index: number): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (endOf(ranges[middle]!) <= index) low = middle + 1;
    else high = middle;
  }
  return low < ranges.length && ranges[low]!.start <= index;
}

/** Merged ranges as text: "0-4,17". */
export function rangesText(ranges: readonly IndexRange[]): string {
  return ranges.map(({ start, count }) => (count === 1 ? String(start) : `${start}-${start + count - 1}`)).join(',');
}

/**
 * The ranges that `rangesText` wrote, or what is wrong with the text, in words: they ascend, do not touch and stay below
 * `size`.
 */
export function parseRanges(text: string, size: number): IndexRange[] | string {
  // No list of indices below `size` is longer than the one of all of them, written one by one.
  if (text.length > size * (String(size).length + 1)) return `is longer than a list of ${size} indices`;
  const ranges: IndexRange[] = [];
  let from = 0;
  for (const part of text.split(',')) {
    const match = /^(0|[1-9]\d{0,14})(?:-([1-9]\d{0,14}))?$/.exec(part);
    if (match === null) return `holds ${JSON.stringify(part.slice(0, 40))}, which is no index and no range a-b`;
    const start = Number(match[1]);
    const last = match[2] === undefined ? start : Number(match[2]);
    if (match[2] !== undefined && last <= start) return `holds ${part}, whose end is not after its start`;
    if (last >= size) return `holds ${part}; there are ${size}, from 0`;
    if (start < from) return `holds ${part} out of order, or beside the range before it`;
    ranges.push({ start, count: last - start + 1 });
    from = last + 2;
  }
  return ranges;
}

function endOf({ start, count }: IndexRange): number {
  return start + count;
}
