import type { Checkpoint, JsonObject } from '../../checkpoint/index.js';
import type { CodedView, CodingRecord } from '../../coding/index.js';
import type { Decoder, Model } from '../../model/index.js';
import { denseModules } from '../dense-modules.js';
import type { Layout, LayoutLimits } from '../layout.js';
import { codeWords, groupsOf, infoOf, nativeNames } from '../native-parts.js';
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
import type { ComputedTensor } from '../strips.js';
import { bytesOf, readTransposed, type StoredMatrix } from '../transpose.js';
import { awqRows, OUTPUTS_PER_WORD, packAwq } from './nibbles.js';

export const NAME = 'awq';
const BITS = 4;

const awq: Layout = {
  name: NAME,
  check({ decoder }, coded, limits) {
    checkedLinears(decoder, coded, limits);
  },
  async write(view: CodedView, { decoder }: Pick<Model, 'decoder'>, config: JsonObject) {
    const uses = checkedLinears(decoder, view.coded);
    const linears = uses.filter(isCoded);
    return published(view, {
      tensors: linears.flatMap((linear) => moduleTensors(view.raw, linear)),
      config: { ...config, quantization_config: quantizationConfig(uses) },
    });
  },
};

export default awq;

function checkedLinears(
  decoder: Decoder,
  coded: ReadonlyMap<string, CodingRecord>,
  limits: LayoutLimits = {},
): LinearUse[] {
  const uses = linearsOf(NAME, decoder, coded);
  const linears = uses.filter(isCoded);
  for (const use of linears) refuseOtherSchemes(use, linears[0]!);
  refuseUnlikeFused(NAME, uses);
  for (const use of linears) {
    refuseUnevenGroups(NAME, use);
    refuseOutputs(use);
    refuseUndivided(NAME, use, limits, OUTPUTS_PER_WORD);
  }
  return uses;
}

/** One scheme for the whole model: what its config has room for. */
function refuseOtherSchemes({ weight, scheme, role }: CodedLinear, first: CodedLinear): void {
  const { bits, type, strategy, scaleDtype, activations, groupSize } = scheme;
  const problem =
    type !== 'int' || bits !== BITS
      ? `${weight} is ${type} of ${bits} bits, and AWQ has integers of 4`
      : strategy !== 'group'
        ? `${weight} has one scale a ${strategy}, and AWQ one a group`
        : activations !== undefined
          ? `${weight} wants its inputs in ${activations}, and AWQ keeps inputs as they are`
          : scaleDtype !== 'F16'
            ? `the scales of ${weight} are ${scaleDtype}, and AWQ's F16: rounding them again would change the weights`
            : groupSize !== first.scheme.groupSize
              ? `${weight} has groups of ${groupSize}, ${first.weight} of ${first.scheme.groupSize}, and AWQ has one size`
              : role === 'head'
                ? `${weight} is the head, which AWQ leaves dense`
                : undefined;
  if (problem === undefined) return;
  throw refusal(NAME, 'awq-schemes', {
    tensor: weight,
    problem,
    suggestion: 'Take int4 in groups with scales in F16, or write compressed-tensors.',
  });
}

function refuseOutputs({ weight, rows }: CodedLinear): void {
  if (rows % OUTPUTS_PER_WORD === 0) return;
  throw refusal(NAME, 'outputs-of-8', {
    tensor: weight,
    problem: `${weight} has ${rows} outputs, and AWQ packs ${OUTPUTS_PER_WORD} to a word`,
    suggestion: 'Write compressed-tensors, or leave this matrix dense.',
  });
}

/**
 * Symmetric schemes are written with zero points of 8: AWQ's kernels take no others. Source: AutoAWQ, models/_config.py
 * (`to_transformers_dict`).
 */
function quantizationConfig(uses: readonly LinearUse[]): JsonObject {
  const linears = uses.filter(isCoded);
  const dense = denseModules(uses);
  return {
    quant_method: NAME,
    zero_point: true,
    group_size: linears[0]?.scheme.groupSize ?? 128,
    bits: BITS,
    version: 'gemm',
    // The head alone is what loaders expect to be dense.
    modules_to_not_convert: dense.length > 1 ? dense : null,
  };
}

function moduleTensors(raw: Checkpoint, linear: CodedLinear): ComputedTensor[] {
  const { weight, module, rows, columns, scheme } = linear;
  const groups = groupsOf(scheme, columns);
  const words = codeWords(raw, linear);
  const { scale, zeroPoint } = nativeNames(weight);
  const grid = { source: raw, rows, columns: groups };
  const scales: StoredMatrix = { ...grid, tensor: scale, elementBytes: 2 };
  const zeros: StoredMatrix = { ...grid, tensor: zeroPoint, elementBytes: 1 };
  return [
    {
      info: infoOf(`${module}.qweight`, 'I32', [columns, rows / OUTPUTS_PER_WORD]),
      rowBytes: rows / 2,
      unitRows: 8,
      async compute(first, count) {
        const transposed = await readTransposed(words, first / 8, Math.ceil(count / 8));
        return bytesOf(awqRows(transposed as Uint32Array, rows)).subarray(0, (count * rows) / 2);
      },
    },
    {
      info: infoOf(`${module}.qzeros`, 'I32', [groups, rows / OUTPUTS_PER_WORD]),
      rowBytes: rows / 2,
      async compute(first, count) {
        if (scheme.symmetric) return new Uint8Array((count * rows) / 2).fill(0x88);
        return bytesOf(packAwq(bytesOf(await readTransposed(zeros, first, count))));
      },
    },
    {
      info: infoOf(`${module}.scales`, 'F16', [groups, rows]),
      rowBytes: rows * 2,
      compute: async (first, count) => bytesOf(await readTransposed(scales, first, count)),
    },
  ];
}
