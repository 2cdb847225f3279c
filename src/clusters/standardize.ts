import { checkFeatures, type Features, scaled } from './features.js';

/**
 * Returns the points with every dimension at mean 0 and variance 1, so that none counts more for its unit; a dimension that is the same in all points
 * becomes 0. The features are not modified. Throws `usage` for features that are no finite numbers.
 */
export function standardize(features: Features): Features {
  checkFeatures(features);
  const { values, count, dimensions } = scaled(features);
  const result = new Float64Array(values.length);
  for (let d = 0; d < dimensions; d += 1) {
    let mean = 0;
    for (let at = d; at < values.length; at += dimensions) mean += values[at]! / count;
    let squares = 0;
    for (let at = d; at < values.length; at += dimensions) squares += (values[at]! - mean) ** 2;
    const deviation = Math.sqrt(squares / count);
    // Equal values whose mean was rounded differ from it by that rounding.
    if (deviation <= Math.abs(mean) * Number.EPSILON * count) continue;
    for (let at = d; at < values.length; at += dimensions) result[at] = (values[at]! - mean) / deviation;
  }
  return { values: result, count, dimensions };
}
