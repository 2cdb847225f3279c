import { quantizeMatrix } from '../quantization/index.js';
import type { Quantizer } from './quantizer.js';
import { refuseSchemes } from './refuse-schemes.js';
import { readWeight } from './stored-order.js';

/**
 * HQQ: scales and zero points that make the error small where it is small already, by half-quadratic splitting over an ℓp norm
 * with p < 1. Needs no data.
 *
 * Source: Badri & Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models".
 */
const hqq: Quantizer = {
  needs: 'weights',
  checkScheme: (scheme) => refuseSchemes('hqq', scheme, ['int']),
  async quantizeBlock({ targets }, _options, { model }, sink) {
    for (const { spec, scheme } of targets) {
      const values = await readWeight(model.checkpoint, spec);
      const quantized = quantizeMatrix(values, spec.rows, spec.columns, scheme, { search: 'hqq' });
      await sink.matrix(spec, quantized, { weight: spec.weight, algorithm: 'hqq' });
    }
  },
};

export default hqq;
