import { quantizeMatrix } from '../quantization/index.js';
import type { Quantizer, QuantizeTarget } from './quantizer.js';
import { canRoundStrips, roundedStrips } from './rounded-strips.js';
import { readWeight } from './stored-order.js';

/** Round-to-nearest: each weight becomes the nearest number that its scale allows. The baseline of all others. */
const rtn: Quantizer = {
  needs: 'weights',
  async quantizeBlock({ targets }, { search = 'absmax' }, { model, rounder, compared }, sink) {
    const { checkpoint } = model;
    const reportOf = (weight: string) => ({ weight, algorithm: 'rtn' });
    const strips: QuantizeTarget[] = [];
    if (search === 'absmax' && rounder && sink.rows) {
      strips.push(...targets.filter((target) => canRoundStrips(checkpoint, target)));
      const options = { rounder, summed: compared === true };
      for await (const { target, rows } of roundedStrips(checkpoint, strips, options)) {
        await sink.rows(target, rows, reportOf(target.spec.weight));
      }
    }
    for (const target of targets) {
      if (strips.includes(target)) continue;
      const { spec, scheme } = target;
      const values = await readWeight(checkpoint, spec);
      const quantized = quantizeMatrix(values, spec.rows, spec.columns, scheme, { search });
      await sink.matrix(spec, quantized, reportOf(spec.weight));
    }
  },
};

export default rtn;
