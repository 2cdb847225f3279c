import { type Checkpoint, elementsOf, noSuchTensor, rangeWithin, type TensorInfo } from '../checkpoint/index.js';
import { DTYPES, type Dtype } from '../tensor/index.js';
import { type CastCounts, castValues, noCounts } from './cast-values.js';

export type CastTarget = 'F32' | 'F16' | 'BF16';

/** Types that are weights as they stand; others are integers, or mean nothing without their scales. */
const CASTABLE: readonly Dtype[] = ['F64', 'F32', 'F16', 'BF16'];

/** A checkpoint that is cast while it is read, and what that has done so far. */
export interface CastView extends Checkpoint {
  /** By tensor, for the tensors whose type changes: counts of all ranges that were read. Read each range once. */
  readonly counts: ReadonlyMap<string, CastCounts>;
}

/**
 * A checkpoint whose weights (F64, F32, F16, BF16) have the type that `targetOf` wants, each rounded to nearest, ties to even.
 * A finite value too large for the type becomes its largest finite one, not infinity: one infinite weight makes every output
 * NaN. What that and underflow have changed is counted. A range must not split an element. Closing it closes the source.
 */
export function castView(source: Checkpoint, targetOf: (info: TensorInfo) => CastTarget | undefined): CastView {
  const tensors = new Map<string, TensorInfo>();
  const counts = new Map<string, CastCounts>();
  for (const info of source.tensors.values()) {
    const target = CASTABLE.includes(info.dtype) ? (targetOf(info) ?? info.dtype) : info.dtype;
    const byteLength = target === info.dtype ? info.byteLength : (elementsOf(info.shape) * DTYPES[target].bits) / 8;
    tensors.set(info.name, { ...info, dtype: target, byteLength });
    if (target !== info.dtype) counts.set(info.name, noCounts());
  }
  return {
    path: source.path,
    format: source.format,
    tensors,
    aliases: source.aliases,
    metadata: source.metadata,
    ...(source.notices && { notices: source.notices }),
    ...(source.companions && { companions: source.companions }),
    ...(source.outdated && { outdated: source.outdated }),
    counts,
    async read(name, range) {
      const info = tensors.get(source.aliases.get(name) ?? name);
      if (info === undefined) throw noSuchTensor(source.path, name);
      const wanted = rangeWithin(info, range);
      const from = source.tensors.get(info.name)!.dtype;
      if (from === info.dtype) return source.read(name, wanted);
      const bytes = await source.read(info.name, sourceRange(info, from, wanted));
      const cast = castValues(bytes, from, info.dtype as CastTarget);
      add(counts.get(info.name)!, cast.counts);
      return cast.bytes;
    },
    close: () => source.close(),
  };
}

function sourceRange(
  { name, dtype }: TensorInfo,
  from: Dtype,
  { offset, length }: { readonly offset: number; readonly length: number },
): { offset: number; length: number } {
  const elementBytes = DTYPES[dtype].bits / 8;
  const sourceBytes = DTYPES[from].bits / 8;
  if (offset % elementBytes !== 0 || length % elementBytes !== 0) {
    throw new RangeError(`Bytes ${offset} + ${length} of ${name} split an element of ${elementBytes}.`);
  }
  return { offset: (offset / elementBytes) * sourceBytes, length: (length / elementBytes) * sourceBytes };
}

/** Adds counts to counts. */
export function add(sum: CastCounts, counts: Readonly<CastCounts>): CastCounts {
  for (const key of Object.keys(sum) as (keyof CastCounts)[]) sum[key] += counts[key];
  return sum;
}
