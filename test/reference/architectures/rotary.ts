import type { ReferenceModel } from './definition.js';

/** The angles per position of the turned pairs, and what their cosines and sines are multiplied with. */
export interface Rotation {
  readonly frequencies: readonly number[];
  readonly scale: number;
}

/**
 * Turns, in every head of `x`, the pair (i, i + n) by position · frequency i, n frequencies in all; dimensions from 2 n on stay
 * (Su et al. 2021, in the half-split order that transformers stores).
 */
export function rotate(x: Float64Array, position: number, headDim: number, rotation: Rotation): Float64Array {
  const { frequencies, scale } = rotation;
  const turned = Float64Array.from(x);
  for (let start = 0; start < x.length; start += headDim) {
    frequencies.forEach((frequency, i) => {
      const [cos, sin] = [scale * Math.cos(position * frequency), scale * Math.sin(position * frequency)];
      const a = x[start + i]!;
      const b = x[start + i + frequencies.length]!;
      turned[start + i] = a * cos - b * sin;
      turned[start + i + frequencies.length] = b * cos + a * sin;
    });
  }
  return turned;
}

/** θ^(−2i / dims) for the dims / 2 pairs. */
export function plainFrequencies(dims: number, theta: number): number[] {
  return Array.from({ length: dims / 2 }, (_, i) => theta ** ((-2 * i) / dims));
}

type RopeKeys = Readonly<Record<string, unknown>>;

/** `rope_scaling` of older configs, `rope_parameters` of transformers 5; empty where neither is. */
export function ropeKeys(config: ReferenceModel['config']): RopeKeys {
  return { ...(config['rope_scaling'] as RopeKeys | null), ...(config['rope_parameters'] as RopeKeys | null) };
}

/**
 * The rotation of a config by `modeling_rope_utils.py`: `default`, `linear` (Chen et al. 2023) and `llama3` (wavelengths above
 * the old context / low_freq_factor are slowed by `factor`, those below the old context / high_freq_factor stay, and those
 * between are mixed). Theta stands in the config or, in transformers 5, among `rope_parameters`.
 */
export function rotationOf(config: ReferenceModel['config'], dims: number, defaultTheta: number): Rotation {
  const keys = ropeKeys(config);
  const theta = Number(keys['rope_theta'] ?? config['rope_theta'] ?? defaultTheta);
  const kind = keys['rope_type'] ?? keys['type'] ?? 'default';
  const factor = Number(keys['factor']);
  const plain = plainFrequencies(dims, theta);
  if (kind === 'default') return { frequencies: plain, scale: 1 };
  if (kind === 'linear') return { frequencies: plain.map((frequency) => frequency / factor), scale: 1 };
  if (kind === 'llama3') return { frequencies: plain.map((frequency) => slowed(frequency, keys)), scale: 1 };
  throw new Error(`the reference knows no rope_type ${String(kind)}`);
}

function slowed(frequency: number, keys: RopeKeys): number {
  const context = Number(keys['original_max_position_embeddings']);
  const [factor, low, high] = ['factor', 'low_freq_factor', 'high_freq_factor'].map((key) => Number(keys[key])) as [
    number,
    number,
    number,
  ];
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < context / high) return frequency;
  if (wavelength > context / low) return frequency / factor;
  const smooth = (context / wavelength - low) / (high - low);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}
