import { quantizeMatrix } from '../quantization/index.js';
import type { Quantizer } from './quantizer.js';
import { readWeight } from './stored-order.js';

/** Round-to-nearest: each weight becomes the nearest number that its scale allows. The baseline of all others. */
const rtn: Quantizer = {
  needs: 'weights',
  async quantizeBlock({ targets }, { search = 'absmax' }, { model }, sink) {
    for (const { spec, scheme } of targets) {
      const values = await readWeight(model.checkpoint, spec);
      const quantized = quantizeMatrix(values, spec.rows, spec.columns, scheme, { search });
      await sink.matrix(spec, quantized, { weight: spec.weight, algorithm: 'rtn' });
    }
  },
};

export default rtn;
