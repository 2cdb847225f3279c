import { type Checkpoint, noSuchTensor, rangeWithin, type TensorInfo } from '../checkpoint/index.js';
import type { Derivation } from './derived/derivation.js';

/** One tensor of a view: which stored tensors it is made of, and how; one as it is stored where nothing is said. */
export interface ViewedTensor {
  /** Names, one or more. */
  readonly stored: readonly string[];
  readonly derivation?: Derivation;
}

/**
 * The same weights under other names, some of them derived from what is stored while they are read. What `entries` does not name is
 * not in the view, and neither are aliases or metadata of the source. Closing it closes the source.
 */
export function derivedView(source: Checkpoint, entries: ReadonlyMap<string, ViewedTensor>): Checkpoint {
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of [...entries].sort(([left], [right]) => (left < right ? -1 : 1))) {
    const stored = storedInfos(source, entry);
    tensors.set(name, { ...(entry.derivation?.describe(stored) ?? stored[0]!), name });
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
      const { stored, derivation } = entry;
      if (derivation === undefined) return source.read(stored[0]!, wanted);
      return derivation.read(wanted, storedInfos(source, entry), source);
    },
    close: () => source.close(),
  };
}

function storedInfos(source: Checkpoint, { stored }: ViewedTensor): TensorInfo[] {
  return stored.map((name) => {
    const info = source.tensors.get(name);
    if (info === undefined) throw new RangeError(`${source.path} has no tensor ${name}.`);
    return info;
  });
}
