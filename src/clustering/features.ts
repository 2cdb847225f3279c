import { type Features, reduce, standardize } from '../clusters/index.js';
import type { Family } from './describe-block.js';
import type { Population } from './population.js';

/** Directions are taken along as few principal components as hold this part of their variance… */
const VARIANCE_KEPT = 0.9;
/** …and no more than this: in more dimensions all distances are alike (Beyer, Goldstein, Ramakrishnan & Shaft 1999). */
const MOST_COMPONENTS = 16;

/** The points that a population's neurons are clustered as. */
export interface NeuronPoints {
  /** Which neurons they are: all but those that give nothing, ascending. */
  readonly live: Int32Array;
  readonly features: Features;
  /** What each dimension is: a figure, or a principal component of a family. */
  readonly names: readonly string[];
  /** By family, how many dimensions it has become and how much of its variance they hold. */
  readonly families: readonly {
    readonly name: Family['name'];
    readonly dimensions: number;
    readonly variance: number;
  }[];
}

/**
 * Joins a population's descriptions into points: figures standardised, directions along their principal components, and every
 * family with a total variance of 1, so that none counts for more because it has more numbers. A family in which nothing varies is
 * left out; one dimension of zeros stands for none.
 */
export function pointsOf({ families, gone, count }: Population): NeuronPoints {
  const live = Int32Array.from([...gone.keys()].filter((neuron) => gone[neuron] === 0));
  if (live.length === 0)
    return { live, features: { values: new Float64Array(0), count: 0, dimensions: 1 }, names: [], families: [] };
  const found = families.map((family) => {
    const rows = chosenRows(family, live, count);
    return {
      name: family.name,
      ...(family.columns ? standardised(rows, family.columns) : projected(rows, family.name)),
    };
  });
  const kept = found.filter(({ features }) => features.dimensions > 0);
  return {
    live,
    features: joined(
      kept.map(({ features }) => features),
      live.length,
    ),
    names: kept.flatMap(({ names }) => names),
    families: kept.map(({ name, features, variance }) => ({ name, dimensions: features.dimensions, variance })),
  };
}

interface Reduced {
  readonly features: Features;
  /** What each dimension is. */
  readonly names: readonly string[];
  readonly variance: number;
}

function chosenRows({ values, width }: Family, live: Int32Array, count: number): Features {
  if (values.length !== count * width) throw new RangeError(`${values.length} values of ${count} neurons`);
  const rows = new Float64Array(live.length * width);
  live.forEach((neuron, i) => {
    rows.set(values.subarray(neuron * width, (neuron + 1) * width), i * width);
  });
  return { values: rows, count: live.length, dimensions: width };
}

/** Columns with mean 0 and a variance of 1 / columns; without those that do not vary. */
function standardised(rows: Features, columns: readonly string[]): Reduced {
  const { values, count, dimensions } = standardize(rows);
  const varying = Array.from({ length: dimensions }, (_, c) => c).filter((c) => {
    for (let i = 0; i < count; i += 1) if (values[i * dimensions + c] !== 0) return true;
    return false;
  });
  const width = varying.length;
  const factor = 1 / Math.sqrt(width);
  const result = new Float64Array(count * width);
  for (const [to, c] of varying.entries()) {
    for (let i = 0; i < count; i += 1) result[i * width + to] = values[i * dimensions + c]! * factor;
  }
  const names = varying.map((c) => columns[c]!);
  return { features: { values: result, count, dimensions: width }, names, variance: 1 };
}

function projected(rows: Features, name: string): Reduced {
  const { features, explained } = reduce(rows, { variance: VARIANCE_KEPT, dimensions: MOST_COMPONENTS });
  const total = features.values.reduce((sum, value) => sum + value * value, 0) / features.count;
  if (!(total > 0)) {
    return { features: { values: new Float64Array(0), count: rows.count, dimensions: 0 }, names: [], variance: 0 };
  }
  const factor = 1 / Math.sqrt(total);
  return {
    features: { ...features, values: features.values.map((value) => value * factor) },
    names: Array.from(explained, (_, d) => `${name} ${d + 1}`),
    variance: Math.min(
      1,
      explained.reduce((sum, part) => sum + part, 0),
    ),
  };
}

function joined(parts: readonly Features[], count: number): Features {
  const dimensions = Math.max(
    1,
    parts.reduce((sum, part) => sum + part.dimensions, 0),
  );
  const values = new Float64Array(count * dimensions);
  let offset = 0;
  for (const part of parts) {
    for (let i = 0; i < count; i += 1) {
      values.set(part.values.subarray(i * part.dimensions, (i + 1) * part.dimensions), i * dimensions + offset);
    }
    offset += part.dimensions;
  }
  return { values, count, dimensions };
}
