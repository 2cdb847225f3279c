import type { JsonObject } from '../../checkpoint/index.js';
import type { CodedView, CodingRecord } from '../../coding/index.js';
import type { Decoder, Model } from '../../model/index.js';
import type { Layout, LayoutExtras, LayoutLimits } from '../layout.js';
import { published } from '../published.js';
import {
  type CodedLinear,
  isCoded,
  type LinearUse,
  linearsOf,
  refusal,
  refuseUndivided,
  refuseUnevenGroups,
  refuseUnlikeFused,
} from '../rules.js';
import { NAME, quantizationConfig } from './config.js';
import { withoutZeroPointsOfZero } from './lifted-zeros.js';
import { moduleTensors } from './tensors.js';

const BITS = [2, 3, 4, 8];

/** Inputs and outputs are packed 32 at a time. */
const UNIT = 32;

const gptq: Layout = {
  name: NAME,
  check({ decoder }, coded, limits) {
    checkedLinears(decoder, coded, limits);
  },
  async write(view: CodedView, { decoder }: Pick<Model, 'decoder'>, config: JsonObject, extras: LayoutExtras = {}) {
    const uses = checkedLinears(decoder, view.coded);
    const linears = uses.filter(isCoded);
    const raw = await withoutZeroPointsOfZero(view.raw, linears);
    const quantization = quantizationConfig(uses, extras.gptq);
    return published(view, {
      tensors: linears.flatMap((linear) => moduleTensors(raw, linear)),
      config: { ...config, quantization_config: quantization },
      files: { 'quantize_config.json': quantization },
    });
  },
};

export default gptq;

function checkedLinears(
  decoder: Decoder,
  coded: ReadonlyMap<string, CodingRecord>,
  limits: LayoutLimits = {},
): LinearUse[] {
  const uses = linearsOf(NAME, decoder, coded);
  refuseUnlikeFused(NAME, uses);
  for (const use of uses.filter(isCoded)) {
    refuseOtherSchemes(use);
    refuseOtherShapes(use);
    refuseUnevenGroups(NAME, use);
    // Codes of 3 bits fill words 32 at a time, others as many as go into one.
    refuseUndivided(NAME, use, limits, use.scheme.bits === 3 ? UNIT : 32 / use.scheme.bits);
  }
  return uses;
}

function refuseOtherSchemes({ weight, scheme }: CodedLinear): void {
  const { bits, type, strategy, scaleDtype, activations } = scheme;
  const problem =
    type !== 'int' || !BITS.includes(bits)
      ? `${weight} is ${type} of ${bits} bits, and GPTQ has integers of ${BITS.join(', ')}`
      : strategy !== 'group' && strategy !== 'channel'
        ? `${weight} has one scale a ${strategy}, and GPTQ one a row or group`
        : activations !== undefined
          ? `${weight} wants its inputs in ${activations}, and GPTQ keeps inputs as they are`
          : scaleDtype !== 'F16'
            ? `the scales of ${weight} are ${scaleDtype}, and GPTQ's F16: rounding them again would change the weights`
            : undefined;
  if (problem === undefined) return;
  throw refusal(NAME, 'gptq-schemes', {
    tensor: weight,
    problem,
    suggestion: 'Take int8, int4, int3 or int2 with scales in F16, or write compressed-tensors.',
  });
}

function refuseOtherShapes({ weight, rows, columns }: CodedLinear): void {
  if (rows % UNIT === 0 && columns % UNIT === 0) return;
  throw refusal(NAME, 'multiples-of-32', {
    tensor: weight,
    problem: `${weight} has ${rows} outputs and ${columns} inputs, and GPTQ packs ${UNIT} at a time of each`,
    suggestion: 'Write compressed-tensors, or leave this matrix dense.',
  });
}
