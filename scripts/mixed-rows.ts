import type { Format, QuantizeSettings } from '../src/quantizing/index.js';

/** One scheme for all matrices, beside which a budget of as much is held. */
export interface Pair {
  /** Unique; what --only looks at. */
  readonly name: string;
  readonly format: Format;
  /** What all matrices get. */
  readonly uniform: QuantizeSettings;
  /** Whether the budget is of the whole file; else of the bits of a weight. */
  readonly bySize?: true;
}

const native = (scheme: string, groupSize: number, rest: Partial<QuantizeSettings> = {}): Pair => {
  const { algorithm, asymmetric, scale } = rest;
  const words = [scheme, `g${groupSize}`, asymmetric && 'asymmetric', scale, algorithm].filter(Boolean);
  return { name: words.join(' '), format: 'native', uniform: { scheme, groupSize, ...rest } };
};

const mix = (scheme: string): Pair => ({ name: scheme, format: 'gguf', uniform: { scheme }, bySize: true });

/** What is compared, in the order of the table. */
export const PAIRS: readonly Pair[] = [
  native('int4', 32),
  native('int4', 64),
  native('int4', 64, { asymmetric: true }),
  native('int4', 32, { scale: 'mse' }),
  native('int4', 32, { algorithm: 'gptq' }),
  native('int3', 64),
  native('int3', 64, { algorithm: 'gptq' }),
  { ...native('int4', 32), name: 'int4 g32 in compressed-tensors', format: 'compressed-tensors' },
  mix('q4_0'),
  mix('q4_k_m'),
];
