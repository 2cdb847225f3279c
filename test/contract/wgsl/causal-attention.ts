import * as oracle from '../ops-oracle.js';
import { type KernelCase, type KernelCases, type Operand, random } from './kernel-case.js';

interface Shape {
  readonly batch?: number;
  readonly heads: number;
  readonly keyHeads?: number;
  readonly tokens: number;
  readonly width: number;
  readonly window?: number;
  readonly cap?: number;
}

/** Scores of up to about ±40 by the square root of the width, so that a softmax is neither flat nor one of a single key. */
function attention(shape: Shape): KernelCase {
  const { batch = 1, heads, keyHeads = heads, tokens, width, window = tokens, cap } = shape;
  const wide = (of: Operand): Operand => ({ ...of, data: of.data.map((value) => 4 * value) });
  const q = wide(random([batch, heads, tokens, width], 6));
  const k = wide(random([batch, keyHeads, tokens, width], 7));
  const v = random([batch, keyHeads, tokens, width], 8);
  const mask = causalMask(tokens, window);
  return {
    name: JSON.stringify(shape),
    // Wrong where the kernel looks at it: it is told of the window.
    inputs: { q, k, v, mask: { data: new Float32Array(tokens * tokens), shape: [tokens, tokens] } },
    attributes: { window, ...(cap !== undefined && { cap }) },
    expected: () => [{ ...oracle.attention(q, k, v, mask, cap === undefined ? {} : { cap }), tolerance: 1e-5 }],
  };
}

function causalMask(tokens: number, window: number): Operand {
  const data = Float32Array.from({ length: tokens * tokens }, (_, index) => {
    const back = Math.floor(index / tokens) - (index % tokens);
    return back >= 0 && back < window ? 0 : -1e9;
  });
  return { data, shape: [tokens, tokens] };
}

export const causalAttentionCases: KernelCases = {
  operation: 'birdbone.CausalAttention',
  cases: [
    attention({ heads: 1, tokens: 1, width: 5 }),
    attention({ batch: 2, heads: 3, tokens: 17, width: 5 }),
    attention({ heads: 4, keyHeads: 2, tokens: 131, width: 5 }),
    attention({ heads: 6, keyHeads: 2, tokens: 97, width: 5, window: 7 }),
    attention({ heads: 2, keyHeads: 1, tokens: 9, width: 5, window: 1 }),
    attention({ heads: 4, keyHeads: 1, tokens: 70, width: 20, window: 66 }),
    attention({ heads: 2, keyHeads: 1, tokens: 37, width: 64, window: 30 }),
  ],
};

export const cappedCausalAttentionCases: KernelCases = {
  operation: 'birdbone.CappedCausalAttention',
  cases: [
    attention({ heads: 2, tokens: 20, width: 5, cap: 3 }),
    attention({ batch: 2, heads: 4, keyHeads: 2, tokens: 67, width: 5, window: 20, cap: 0.5 }),
  ],
};
