import type { JsonObject } from '../../checkpoint/index.js';
import type { CodedView, CodingRecord } from '../../coding/index.js';
import type { Decoder, Model } from '../../model/index.js';
import { denseModules } from '../dense-modules.js';
import type { Layout, LayoutExtras, LayoutLimits } from '../layout.js';
import { constantTensor, infoOf } from '../native-parts.js';
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
import { quantizationConfig } from './config.js';
import { formOf, NAME } from './scheme-form.js';
import { moduleTensors } from './tensors.js';

/** Bits for which vLLM has kernels that take packed integers; the format has all from 1 to 8. */
const PACKED_BITS = [4, 8];

const compressedTensors: Layout = {
  name: NAME,
  check({ decoder }, coded, limits) {
    checkedLinears(decoder, coded, limits);
  },
  async write(view: CodedView, { decoder }: Pick<Model, 'decoder'>, config: JsonObject, extras: LayoutExtras = {}) {
    const uses = checkedLinears(decoder, view.coded);
    const linears = uses.filter(isCoded);
    const { kvScales, inputScales = new Map<string, number>() } = extras;
    const hasInputScale = (weight: string) => inputScales.has(weight);
    refuseMissingScales(linears, inputScales);
    const tensors = linears.flatMap((linear) => {
      const form = formOf(linear, hasInputScale(linear.weight));
      const scale =
        form.inputs === 'fp8-static' ? [scalar(`${linear.module}.input_scale`, inputScales.get(linear.weight)!)] : [];
      return [...moduleTensors(view.raw, linear, form), ...scale];
    });
    const parts = { linears, ignore: denseModules(uses), hasInputScale, hasKvScales: kvScales !== undefined };
    return published(view, {
      tensors: [...tensors, ...(kvScales === undefined ? [] : kvTensors(uses, decoder, kvScales))],
      config: { ...config, quantization_config: quantizationConfig(parts) },
      notices: noticesOf(linears, hasInputScale),
    });
  },
};

export default compressedTensors;

function checkedLinears(
  decoder: Decoder,
  coded: ReadonlyMap<string, CodingRecord>,
  limits: LayoutLimits = {},
): LinearUse[] {
  const uses = linearsOf(NAME, decoder, coded);
  refuseUnlikeFused(NAME, uses);
  for (const use of uses.filter(isCoded)) {
    formOf(use, false);
    refuseUnevenGroups(NAME, use);
    refuseSplitBlocks(use);
    refuseUndivided(NAME, use, limits);
  }
  return uses;
}

/** Where vLLM puts matrices one under the other, a block must not reach from one into the next. */
function refuseSplitBlocks({ weight, role, rows, scheme }: CodedLinear): void {
  const [blockRows] = scheme.blockShape ?? [1];
  if (!['q', 'k', 'v', 'gate', 'up'].includes(role) || rows % blockRows === 0) return;
  throw refusal(NAME, 'blocks-divide-outputs', {
    tensor: weight,
    problem: `${weight} has ${rows} outputs, which blocks of ${blockRows} rows do not divide, and vLLM stacks it with others`,
    suggestion: 'Take one scale a row: --group-size channel',
  });
}

/** Static scales for some modules of a scheme and not for others would be two schemes, and none that an engine loads as fused. */
function refuseMissingScales(linears: readonly CodedLinear[], inputScales: ReadonlyMap<string, number>): void {
  if (inputScales.size === 0) return;
  for (const { weight, scheme } of linears) {
    if (scheme.type !== 'float' || scheme.strategy !== 'tensor') continue;
    const scale = inputScales.get(weight);
    if (scale !== undefined && Number.isFinite(scale) && scale > 0) continue;
    throw new RangeError(`The input scale of ${weight} is ${scale}.`);
  }
}

/** Source: vLLM, model_loader/weight_utils.py (`maybe_remap_kv_scale_name`): the scales stand beside the projections. */
function kvTensors(
  uses: readonly LinearUse[],
  decoder: Decoder,
  kvScales: NonNullable<LayoutExtras['kvScales']>,
): ComputedTensor[] {
  return decoder.blocks
    .filter(({ attention }) => attention)
    .flatMap(({ index }) => {
      const scales = kvScales.get(index);
      const projection = uses.find(({ block, role }) => block === index && (role === 'k' || role === 'qkv'));
      if (scales === undefined || projection === undefined) throw new RangeError(`Block ${index} has no KV scales.`);
      const attention = projection.module.slice(0, projection.module.lastIndexOf('.'));
      return [scalar(`${attention}.k_scale`, scales.k), scalar(`${attention}.v_scale`, scales.v)];
    });
}

function scalar(name: string, value: number): ComputedTensor {
  return constantTensor(infoOf(name, 'F32', [1]), new Uint8Array(Float32Array.of(value).buffer));
}

function noticesOf(linears: readonly CodedLinear[], hasInputScale: (weight: string) => boolean): string[] {
  const forms = linears.map((linear) => formOf(linear, hasInputScale(linear.weight)));
  const packed = forms.filter(({ format }) => format === 'pack-quantized');
  const odd = [...new Set(packed.map(({ scheme }) => scheme.bits))].filter((bits) => !PACKED_BITS.includes(bits));
  const wide = packed.some(({ scheme }) => scheme.scaleDtype === 'F32');
  const merged = forms.some(({ scheme }) => scheme.type === 'float' && scheme.strategy === 'tensor');
  return [
    ...(odd.length === 0 ? [] : [`vLLM has kernels for packed integers of 4 and 8 bits, not of ${odd.join(', ')}.`]),
    ...(wide ? ['Scales are F32; vLLM rounds those of packed integers to the type of its activations.'] : []),
    ...(merged ? ['vLLM gives q, k and v (and gate and up) the largest of their FP8 scales and rounds again.'] : []),
  ];
}
