import { flashProgram, QUERY_ROWS, tilesFor, WIDEST_HEAD } from './flash-attention-program.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';

/** Stands for "no cap" in the uniforms. */
const UNCAPPED = 0;

/**
 * `causalAttention` where the mask is known to be the causal one, with a window or without: no score leaves the workgroup that
 * made it, and keys that no query of a workgroup may see are not visited. The heads that share a key head are rows of one matrix,
 * so that its keys and values are loaded once for all of them.
 *
 * Floor, for b sequences of t tokens, h heads of width d and g of them to a key head: 4·d operations for each of the b·h·t(t + 1)/2
 * pairs of a query and a key (b·h·t·w with a window w far below t); 4·b·t·d·(2·h + 2·h/g) bytes, as q, k, v and the result pass
 * once. Keys and values are loaded again by each 64 rows, t·g/64 times, which caches take most of.
 *
 * Source: Dao et al. 2022, "FlashAttention"; Milakov & Gimelshein 2018 for the running softmax.
 */
export const flashAttentionKernel: WgslKernel = {
  operation: 'birdbone.CausalAttention',
  fits: ({ inputs, attributes }) => attributes['window'] !== undefined && inputs['q']!.shape[3]! <= WIDEST_HEAD,
  run({ inputs, attributes }, gpu) {
    const { q, k, v } = inputs as Record<'q' | 'k' | 'v', (typeof inputs)[string]>;
    const [batch, heads, tokens, width] = q.shape as [number, number, number, number];
    const keyHeads = k.shape[1]!;
    const group = heads / keyHeads;
    const tiles = Math.ceil((group * tokens) / QUERY_ROWS);
    const output = gpu.create(q.shape);
    const shared = tilesFor(width, gpu);
    gpu.run(flashProgram(width, shared), {
      inputs: { q, k, v },
      outputs: { output },
      uniforms: {
        tokens,
        group,
        tiles,
        workgroups: batch * keyHeads * tiles,
        inner: shared.inner,
        values: shared.values,
        window: Math.min(tokens, Number(attributes['window'])),
        scale: 1 / Math.sqrt(width),
        cap: Number(attributes['cap'] ?? UNCAPPED),
      },
      workgroups: foldWorkgroups(batch * keyHeads * tiles, gpu.limits),
    });
    return output;
  },
};

/** The same where scores are capped: an operation of its own, as devices that have the other have no cap. */
export const cappedFlashAttentionKernel: WgslKernel = {
  ...flashAttentionKernel,
  operation: 'birdbone.CappedCausalAttention',
};
