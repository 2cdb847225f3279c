import { type Checkpoint, noSuchTensor, rangeWithin, type TensorInfo } from '../checkpoint/index.js';
import { type HeadRows, readReordered } from './rope-rows.js';

/** One tensor of a view: which stored tensor it is, and in which order its rows are wanted. */
export interface ViewedTensor {
  readonly stored: string;
  /** Absent where the rows are wanted as they are stored. */
  readonly rows?: HeadRows;
}

/**
 * The same weights under other names, with the rows of some reordered while they are read. What `entries` does not name is not
 * in the view, and neither are aliases or metadata of the source. Closing it closes the source.
 */
export function renamedView(source: Checkpoint, entries: ReadonlyMap<string, ViewedTensor>): Checkpoint {
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of [...entries].sort(([left], [right]) => (left < right ? -1 : 1))) {
    const stored = source.tensors.get(entry.stored);
    if (stored === undefined) throw new RangeError(`${source.path} has no tensor ${entry.stored}.`);
    tensors.set(name, { ...stored, name });
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
      const entry = entries.get(name);
      if (info === undefined || entry === undefined) throw noSuchTensor(source.path, name);
      const wanted = rangeWithin(info, range);
      if (entry.rows === undefined) return source.read(entry.stored, wanted);
      const rowBytes = info.byteLength / info.shape[0]!;
      return readReordered(wanted, { ...entry.rows, rowBytes }, (offset, length) =>
        source.read(entry.stored, { offset, length }),
      );
    },
    close: () => source.close(),
  };
}
