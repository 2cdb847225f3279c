import { type Checkpoint, noSuchTensor, rangeWithin, type TensorInfo } from '../../checkpoint/index.js';
import type { IndexRange } from '../../plates/index.js';
import { DTYPES } from '../../tensor/index.js';
import type { Kept } from './kept.js';

/** One tensor of a cut view: which stored tensor it is, and what of its first two axes stays. */
export interface CutTensor {
  readonly stored: string;
  readonly rows: Kept;
  /** Of a matrix. */
  readonly columns?: Kept;
}

/**
 * Stored bytes that are in memory at once while rows are gathered: enough that a read costs nothing beside its bytes. A single row
 * may be longer.
 */
const GATHER_BYTES = 8 * 1024 * 1024;

interface Layout {
  readonly tensor: CutTensor;
  readonly storedRowBytes: number;
  readonly rowBytes: number;
  /** What stays within a row, in bytes. */
  readonly pieces: readonly IndexRange[];
  /** First row after the cut of each run of rows that stays. */
  readonly firsts: readonly number[];
}

/**
 * The same weights with physically smaller tensors: rows that stay are read by ranges, columns that stay are gathered from a few
 * rows at a time. Nothing is computed before it is read, any range may be read, and beside it at most 8 MiB (or one stored row)
 * are in memory. What `entries` does not name is not in the view. Closing it closes the source.
 */
export function gatheredView(source: Checkpoint, entries: ReadonlyMap<string, CutTensor>): Checkpoint {
  const tensors = new Map<string, TensorInfo>();
  const layouts = new Map<string, Layout>();
  for (const name of [...entries.keys()].sort()) {
    const tensor = entries.get(name)!;
    const info = source.tensors.get(tensor.stored);
    if (info === undefined) throw noSuchTensor(source.path, tensor.stored);
    const layout = layoutOf(info, tensor);
    layouts.set(name, layout);
    tensors.set(name, { ...shapeOf(info, tensor, layout), name });
  }
  return {
    path: source.path,
    format: source.format,
    tensors,
    aliases: new Map(),
    metadata: {},
    ...(source.notices && { notices: source.notices }),
    async read(name, range) {
      const info = tensors.get(name);
      if (info === undefined) throw noSuchTensor(source.path, name);
      return gather(source, layouts.get(name)!, rangeWithin(info, range));
    },
    close: () => source.close(),
  };
}

function shapeOf(info: TensorInfo, { rows, columns }: CutTensor, { rowBytes }: Layout): TensorInfo {
  const [, , ...rest] = info.shape;
  const shape = columns === undefined ? [rows.count, ...info.shape.slice(1)] : [rows.count, columns.count, ...rest];
  return { ...info, shape, byteLength: rows.count * rowBytes };
}

function layoutOf(info: TensorInfo, tensor: CutTensor): Layout {
  const { rows, columns } = tensor;
  const [rowCount, columnCount = 1, ...rest] = info.shape;
  if (rowCount !== rows.size || (columns !== undefined && columnCount !== columns.size)) {
    throw new RangeError(`${info.name} has the shape [${info.shape}], not ${rows.size} × ${columns?.size ?? 'any'}.`);
  }
  const cellBytes = (DTYPES[info.dtype].bits / 8) * rest.reduce((product, size) => product * size, 1);
  if (!Number.isInteger(cellBytes))
    throw new RangeError(`Elements of ${info.name} (${info.dtype}) are no whole bytes.`);
  const storedRowBytes = cellBytes * columnCount;
  const pieces = (columns?.ranges ?? [{ start: 0, count: columnCount }]).map(({ start, count }) => {
    return { start: start * cellBytes, count: count * cellBytes };
  });
  const firsts: number[] = [];
  rows.ranges.reduce((first, { count }) => {
    firsts.push(first);
    return first + count;
  }, 0);
  return { tensor, storedRowBytes, rowBytes: cellBytes * (columns?.count ?? columnCount), pieces, firsts };
}

async function gather(
  source: Checkpoint,
  layout: Layout,
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Uint8Array> {
  const { tensor, storedRowBytes, rowBytes, firsts } = layout;
  const result = new Uint8Array(length);
  if (length === 0) return result;
  const end = offset + length;
  const most = Math.max(1, Math.floor(GATHER_BYTES / storedRowBytes));
  const endRow = Math.ceil(end / rowBytes);
  for (let row = Math.floor(offset / rowBytes); row < endRow; ) {
    const run = runAt(firsts, row);
    const { start, count } = tensor.rows.ranges[run]!;
    const within = row - firsts[run]!;
    const rows = Math.min(count - within, endRow - row, most);
    const stored = { offset: (start + within) * storedRowBytes, length: rows * storedRowBytes };
    const bytes = takePieces(await source.read(tensor.stored, stored), layout);
    const at = row * rowBytes - offset;
    result.set(bytes.subarray(Math.max(0, -at), Math.min(bytes.length, end - row * rowBytes)), Math.max(0, at));
    row += rows;
  }
  return result;
}

/** The run that holds a row after the cut. */
function runAt(firsts: readonly number[], row: number): number {
  let low = 0;
  let high = firsts.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (firsts[middle]! <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Whole stored rows without the columns that go. */
function takePieces(stored: Uint8Array, { storedRowBytes, rowBytes, pieces }: Layout): Uint8Array {
  if (rowBytes === storedRowBytes) return stored;
  const rows = stored.length / storedRowBytes;
  const result = new Uint8Array(rows * rowBytes);
  let at = 0;
  for (let row = 0; row < rows; row += 1) {
    const base = row * storedRowBytes;
    for (const { start, count } of pieces) {
      result.set(stored.subarray(base + start, base + start + count), at);
      at += count;
    }
  }
  return result;
}
