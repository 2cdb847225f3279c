import { type Checkpoint, rangeWithin, readFloats, type TensorInfo } from '../../checkpoint/index.js';

/** What a norm's gain becomes: each is multiplied, after the offset that its architecture adds to what is stored. */
export interface GainScale {
  readonly factor: number;
  /** 1 where the norm multiplies by 1 + w (Gemma), 0 elsewhere. */
  readonly offset: 0 | 1;
}

const F32_BYTES = 4;

/**
 * What makes an RMSNorm over n' dimensions equal to one over n of which the others are zero. The mean of squares over n' is n/n'
 * times as large, so with an epsilon of n/n' times the old one the whole root is √(n/n') times as large, and gains of √(n/n')
 * times the old ones undo that.
 */
export function normCorrection(before: number, after: number): { readonly gain: number; readonly epsilon: number } {
  return { gain: Math.sqrt(before / after), epsilon: before / after };
}

/**
 * The view with some of its vectors multiplied. They read as F32 whatever they were: rounding a gain to 8 bits of precision
 * would cost more than the three dozen kilobytes that it saves.
 */
export function withScaledGains(view: Checkpoint, gains: ReadonlyMap<string, GainScale>): Checkpoint {
  if (gains.size === 0) return view;
  const tensors = new Map(
    [...view.tensors].map(([name, info]): [string, TensorInfo] => {
      if (!gains.has(name)) return [name, info];
      return [name, { ...info, dtype: 'F32', byteLength: F32_BYTES * info.shape[0]! }];
    }),
  );
  return {
    ...view,
    tensors,
    async read(name, range) {
      const scale = gains.get(name);
      if (scale === undefined) return view.read(name, range);
      const { offset, length } = rangeWithin(tensors.get(name)!, range);
      const values = (await readFloats(view, name)).map((w) => (w + scale.offset) * scale.factor - scale.offset);
      return new Uint8Array(values.buffer).slice(offset, offset + length);
    },
  };
}
