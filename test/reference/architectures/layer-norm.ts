import { type ReferenceModel, tensorOf } from './definition.js';

/** torch's nn.LayerNorm `name`: (x − mean) / √(variance + ε) · weight + bias, variance over n (Ba et al. 2016). */
export function layerNorm(model: ReferenceModel, name: string, epsilon: number): (x: Float64Array) => Float64Array {
  const weight = tensorOf(model, `${name}.weight`);
  const bias = tensorOf(model, `${name}.bias`);
  return (x) => {
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
    return x.map((value, i) => ((value - mean) / Math.sqrt(variance + epsilon)) * weight.values[i]! + bias.values[i]!);
  };
}

/** `gelu`: x Φ(x), with the error function itself. */
export function geluExact(x: number): number {
  return 0.5 * x * (1 + erf(x / Math.SQRT2));
}

/** 2/√π e^(−x²) Σ 2ⁿ x^(2n+1) / (2n+1)!!, whose terms all have one sign; beyond 6 it is ±1 to the last bit. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
