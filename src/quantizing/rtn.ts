import { quantizeMatrix } from '../quantization/index.js';
import type { Quantizer } from './quantizer.js';
import { roundedStrips } from './rounded-strips.js';
import { readWeight } from './stored-order.js';

/** Round-to-nearest: each weight becomes the nearest number that its scale allows. The baseline of all others. */
const rtn: Quantizer = {
  needs: 'weights',
  async quantizeBlock({ targets }, { search = 'absmax' }, { model, rounder, compared }, sink) {
    for (const { spec, scheme } of targets) {
      const report = { weight: spec.weight, algorithm: 'rtn' };
      const strips =
        search === 'absmax' &&
        rounder &&
        roundedStrips(model.checkpoint, spec, scheme, { rounder, summed: compared === true });
      if (strips && sink.rows) {
        await sink.rows(spec, scheme, strips, report);
        continue;
      }
      const values = await readWeight(model.checkpoint, spec);
      const quantized = quantizeMatrix(values, spec.rows, spec.columns, scheme, { search });
      await sink.matrix(spec, quantized, report);
    }
  },
};

export default rtn;
