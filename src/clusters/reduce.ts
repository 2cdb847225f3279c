import { BirdboneError } from '../errors.js';
import { checkFeatures, type Features, type ScaledFeatures, scaled } from './features.js';
import { exactDirections, type Principal, projections, randomisedDirections } from './principal.js';

export interface ReduceOptions {
  /** Dimensions to keep at most; 50 unless given. */
  readonly dimensions?: number;
  /** The first dimensions that have this fraction of the variance are kept; 0.95 unless given. */
  readonly variance?: number;
  /** For the directions that a large input is started from; 0 unless given. */
  readonly seed?: number;
}

/** Points in fewer dimensions: the principal components. */
export interface Reduction {
  /** The scores, [count, components]. */
  readonly features: Features;
  /** Directions of length 1, [components, dimensions]; the largest coordinate of each is positive. */
  readonly components: Float64Array;
  /** What was subtracted from the points. */
  readonly means: Float64Array;
  /** Fraction of the variance that each component has, descending. */
  readonly explained: Float64Array;
  /** `randomised` where neither the points nor the dimensions are few: the fractions are then never too large, and may be a little small. */
  readonly algorithm: 'exact' | 'randomised';
}

/** Eigenvectors of this size take half a second; their time grows with its cube. */
const EXACT_SIZE = 512;

const DIMENSIONS = 50;
const VARIANCE = 0.95;

/**
 * Returns the principal components of the points (Hotelling 1933), as few as have the variance that is asked for, one at least. Points
 * that are all the same have one component, of zeros. Throws `usage` for options out of range and features that are no finite numbers.
 */
export function reduce(features: Features, options: ReduceOptions = {}): Reduction {
  const { dimensions = DIMENSIONS, variance = VARIANCE, seed = 0 } = options;
  if (!Number.isInteger(dimensions) || dimensions < 1 || !(variance > 0 && variance <= 1)) {
    throw new BirdboneError(
      'usage',
      `Points cannot be reduced to ${dimensions} dimensions and ${variance} of the variance. Give a whole number from 1 on, and a fraction above 0 up to 1.`,
    );
  }
  checkFeatures(features);
  const points = scaled(features);
  const means = columnMeans(points);
  const centred = { ...points, values: points.values.map((value, at) => value - means[at % points.dimensions]!) };
  const isExact = Math.min(points.count, points.dimensions) <= EXACT_SIZE;
  const principal = isExact ? exactDirections(centred) : randomisedDirections(centred, dimensions, seed);
  return {
    ...componentsOf(centred, principal, { dimensions, variance }),
    means: means.map((mean) => mean * points.unit),
    algorithm: isExact ? 'exact' : 'randomised',
  };
}

/** The first components that have enough of the variance. */
function componentsOf(
  centred: ScaledFeatures,
  { energies, directions }: Principal,
  wanted: { readonly dimensions: number; readonly variance: number },
): Pick<Reduction, 'features' | 'components' | 'explained'> {
  const total = centred.values.reduce((sum, value) => sum + value * value, 0);
  const fractions = energies.map((energy) => (total === 0 ? 0 : energy / total));
  let kept = 1;
  let have = fractions[0]!;
  // What is left for the last directions is below the rounding of the sums.
  const enough = wanted.variance - centred.dimensions * Number.EPSILON;
  while (kept < Math.min(wanted.dimensions, fractions.length) && have < enough && fractions[kept]! > 0) {
    have += fractions[kept]!;
    kept += 1;
  }
  const components =
    total === 0 ? new Float64Array(centred.dimensions) : positive(directions, kept, centred.dimensions);
  const values = projections(centred, components, kept).map((score) => score * centred.unit);
  return {
    features: { values, count: centred.count, dimensions: kept },
    components,
    explained: fractions.slice(0, kept),
  };
}

/** The first `kept` directions, each with the sign that makes its largest coordinate positive: an eigenvector has none of its own. */
function positive(directions: Float64Array, kept: number, dimensions: number): Float64Array {
  const components = directions.slice(0, kept * dimensions);
  for (let i = 0; i < kept; i += 1) {
    const row = components.subarray(i * dimensions, (i + 1) * dimensions);
    const largest = row.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    if (largest < 0) for (let d = 0; d < dimensions; d += 1) row[d] = -row[d]!;
  }
  return components;
}

function columnMeans({ values, count, dimensions }: Features): Float64Array {
  const means = new Float64Array(dimensions);
  for (let at = 0; at < values.length; at += 1) means[at % dimensions]! += values[at]! / count;
  return means;
}
