import type { Leg } from './legs.js';

/** A weight [rows, columns] on the host, row-major. */
export interface HostWeight {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** The weights of each neuron's leg at a glance, [neurons] each. */
export interface LegFigures {
  /** √Σ w². */
  readonly norm: Float64Array;
  /** Excess kurtosis of its weights: 0 for a normal distribution, large where a few of them are; 0 where all are the same. */
  readonly kurtosis: Float64Array;
  /** Fraction of its weights that are 0. */
  readonly zeros: Float64Array;
}

/** What the weights of `count` neurons' legs are like. A leg without weights gives 0. */
export function legFigures(leg: Leg, weight: HostWeight, count: number): LegFigures {
  const norm = new Float64Array(count);
  const kurtosis = new Float64Array(count);
  const zeros = new Float64Array(count);
  for (let neuron = 0; neuron < count; neuron += 1) {
    const values = valuesOf(leg, weight, neuron);
    if (values.length === 0) continue;
    let squares = 0;
    let none = 0;
    let sum = 0;
    for (const value of values) {
      squares += value * value;
      sum += value;
      if (value === 0) none += 1;
    }
    norm[neuron] = Math.sqrt(squares);
    zeros[neuron] = none / values.length;
    kurtosis[neuron] = kurtosisOf(values, sum / values.length);
  }
  return { norm, kurtosis, zeros };
}

/**
 * With whom each neuron is connected through a leg, [neurons, width]: what it reads from or writes to each position, with its sign
 * where it has one row or column, and its amount √Σ w² where it has several (which no rotation within a head changes). Each
 * neuron's is of length 1, or 0.
 */
export function legProfiles(leg: Leg, weight: HostWeight, count: number): { values: Float32Array; width: number } {
  const width = leg.way === 'reads' ? weight.columns : weight.rows;
  const values = new Float32Array(count * width);
  for (let neuron = 0; neuron < count; neuron += 1) {
    const parts = leg.of(neuron);
    const profile = new Float64Array(width);
    for (const part of parts) {
      for (let i = 0; i < width; i += 1) {
        const value = at(weight, leg, part, i);
        profile[i]! += parts.length === 1 ? value : value * value;
      }
    }
    if (parts.length > 1) for (let i = 0; i < width; i += 1) profile[i] = Math.sqrt(profile[i]!);
    const length = Math.sqrt(profile.reduce((sum, value) => sum + value * value, 0));
    if (length > 0)
      values.set(
        Float32Array.from(profile, (value) => value / length),
        neuron * width,
      );
  }
  return { values, width };
}

function at({ values, columns }: HostWeight, { way }: Leg, part: number, i: number): number {
  return way === 'reads' ? values[part * columns + i]! : values[i * columns + part]!;
}

function valuesOf(leg: Leg, weight: HostWeight, neuron: number): Float64Array {
  const parts = leg.of(neuron);
  const width = leg.way === 'reads' ? weight.columns : weight.rows;
  const values = new Float64Array(parts.length * width);
  parts.forEach((part, index) => {
    for (let i = 0; i < width; i += 1) values[index * width + i] = at(weight, leg, part, i);
  });
  return values;
}

function kurtosisOf(values: Float64Array, mean: number): number {
  let second = 0;
  let fourth = 0;
  for (const value of values) {
    const square = (value - mean) ** 2;
    second += square;
    fourth += square * square;
  }
  return second > 0 ? (values.length * fourth) / (second * second) - 3 : 0;
}
