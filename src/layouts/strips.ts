import { type Checkpoint, noSuchTensor, type ReadRange, rangeWithin, type TensorInfo } from '../checkpoint/index.js';

/** Bytes of a tensor that are computed at once. The largest matrices of 70-billion-parameter models have four times as many. */
export const STRIP_BYTES = 32 * 2 ** 20;
/** Strips that are kept: writing reads a strip in many chunks, and a forward pass reads two matrices side by side at most. */
const KEPT_BYTES = 2 * STRIP_BYTES;

/** A tensor that is made of others while it is read. */
export interface ComputedTensor {
  readonly info: TensorInfo;
  readonly rowBytes: number;
  /** Rows are computed in multiples of this many, but for the last; 1 unless given. */
  readonly unitRows?: number;
  /** The bytes of rows `[first, first + count)` of the leading dimension. */
  compute(first: number, count: number): Promise<Uint8Array>;
}

/** A stored tensor under another name, type or shape, byte for byte. */
export interface RelabelledTensor {
  readonly info: TensorInfo;
  readonly stored: string;
  /** What becomes of its bytes, each by itself, where they have been read to. */
  readonly change?: (bytes: Uint8Array) => void;
}

export type ViewedTensor = ComputedTensor | RelabelledTensor;

/** The tensor of `source` as it is. */
export function asStored(info: TensorInfo): RelabelledTensor {
  return { info, stored: info.name };
}

/**
 * The checkpoint that has these tensors, in name order. Of computed ones whole strips are computed and the last few kept, so that
 * reading in order computes each once; any range may be read. Aliases to tensors that are not in it are gone.
 */
export function stripView(source: Checkpoint, viewed: Iterable<ViewedTensor>): Checkpoint {
  const entries = new Map([...viewed].map((tensor) => [tensor.info.name, tensor] as const));
  const tensors = new Map([...entries.keys()].sort().map((name) => [name, entries.get(name)!.info]));
  const aliases = new Map([...source.aliases].filter(([alias, name]) => tensors.has(name) && !tensors.has(alias)));
  const metadata = Object.entries(source.metadata).filter(([key]) => !source.aliases.has(key) || aliases.has(key));
  const strips = new Strips();
  return {
    path: source.path,
    format: source.format,
    tensors,
    aliases,
    metadata: Object.fromEntries(metadata),
    ...(source.companions && { companions: source.companions }),
    ...(source.outdated && { outdated: source.outdated }),
    ...(source.notices && { notices: source.notices }),
    async read(name, range) {
      const entry = entries.get(aliases.get(name) ?? name);
      if (entry === undefined) throw noSuchTensor(source.path, name);
      const wanted = rangeWithin(entry.info, range);
      if (!('stored' in entry)) return strips.read(entry, wanted);
      const bytes = await source.read(entry.stored, wanted);
      entry.change?.(bytes);
      return bytes;
    },
    close: () => source.close(),
  };
}

interface Kept {
  readonly byteLength: number;
  readonly bytes: Promise<Uint8Array>;
}

/** The strips that were computed last, by tensor and first row. */
class Strips {
  readonly #kept = new Map<string, Kept>();

  async read(tensor: ComputedTensor, { offset, length, into }: ReadRange): Promise<Uint8Array> {
    const result = into?.subarray(0, length) ?? new Uint8Array(length);
    if (length === 0) return result;
    const { rowBytes } = tensor;
    const rows = rowsPerStrip(tensor);
    const stripBytes = rows * rowBytes;
    const end = offset + length;
    for (let strip = Math.floor(offset / stripBytes); strip * stripBytes < end; strip += 1) {
      const start = strip * stripBytes;
      const bytes = await this.#strip(tensor, strip * rows, rows);
      const part = bytes.subarray(Math.max(0, offset - start), Math.min(bytes.length, end - start));
      result.set(part, Math.max(0, start - offset));
    }
    return result;
  }

  #strip(tensor: ComputedTensor, first: number, rows: number): Promise<Uint8Array> {
    const { info, rowBytes } = tensor;
    const key = `${first} ${info.name}`;
    const found = this.#kept.get(key);
    if (found !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, found);
      return found.bytes;
    }
    const count = Math.min(rows, info.byteLength / rowBytes - first);
    const strip = { byteLength: count * rowBytes, bytes: tensor.compute(first, count) };
    this.#kept.set(key, strip);
    // What failed once (a disk) may succeed the next time it is asked for.
    strip.bytes.catch(() => this.#kept.delete(key));
    this.#forgetOldest();
    return strip.bytes;
  }

  #forgetOldest(): void {
    let total = 0;
    for (const { byteLength } of this.#kept.values()) total += byteLength;
    for (const [key, { byteLength }] of this.#kept) {
      if (total <= KEPT_BYTES || this.#kept.size === 1) return;
      this.#kept.delete(key);
      total -= byteLength;
    }
  }
}

function rowsPerStrip({ rowBytes, unitRows = 1 }: ComputedTensor): number {
  return Math.max(unitRows, Math.floor(STRIP_BYTES / (rowBytes * unitRows)) * unitRows);
}
