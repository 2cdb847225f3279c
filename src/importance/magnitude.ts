import { abs } from '@tensorflow/tfjs-core';
import type { ImportanceMetric } from './metric.js';

/** |W|. Source: Han et al. 2015, "Learning both Weights and Connections for Efficient Neural Networks". */
const magnitude: ImportanceMetric = {
  needs: [],
  scope: 'layer',
  score: (weight) => abs(weight),
};

export default magnitude;
