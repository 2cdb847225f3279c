/** How a step is taken; the field's names. Source: Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization". */
export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Share of a decayed weight that one step at learning rate 1 takes away. */
  readonly weightDecay: number;
}

/** One parameter's running moments. */
export interface Moments {
  readonly first: Float32Array;
  readonly second: Float32Array;
}

export function createMoments(size: number): Moments {
  return { first: new Float32Array(size), second: new Float32Array(size) };
}

/**
 * Moves `values` by the `step`-th AdamW step (counted from 1) against `gradient`, in place, and updates the moments. `scale`
 * multiplies the gradient first (clipping by the norm over all parameters). Arithmetic in float64, storage in float32.
 */
export function adamWStep(
  values: Float32Array,
  gradient: Float32Array,
  moments: Moments,
  at: { step: number; rate: number; scale: number; decayed: boolean; options: AdamWOptions },
): void {
  const { beta1, beta2, epsilon, weightDecay } = at.options;
  const { first, second } = moments;
  const firstCorrection = 1 - beta1 ** at.step;
  const secondCorrection = 1 - beta2 ** at.step;
  const kept = at.decayed ? 1 - at.rate * weightDecay : 1;
  for (let i = 0; i < values.length; i += 1) {
    const slope = gradient[i]! * at.scale;
    const mean = beta1 * first[i]! + (1 - beta1) * slope;
    const square = beta2 * second[i]! + (1 - beta2) * slope * slope;
    first[i] = mean;
    second[i] = square;
    const direction = mean / firstCorrection / (Math.sqrt(square / secondCorrection) + epsilon);
    values[i] = values[i]! * kept - at.rate * direction;
  }
}

/** √(Σ g²) over all gradients together, float64. */
export function gradientNorm(gradients: Iterable<Float32Array>): number {
  let squares = 0;
  for (const gradient of gradients) {
    for (let i = 0; i < gradient.length; i += 1) squares += gradient[i]! * gradient[i]!;
  }
  return Math.sqrt(squares);
}
