import * as Flags from '@oclif/core/flags';
import { BirdboneError } from '../errors.js';
import { bytes, count, envOf, ratio } from './flags.js';
import { HARDWARE } from './hardware-flags.js';

/** `64`, `channel` or `tensor`. */
const groupSize = Flags.custom<number | 'channel' | 'tensor'>({
  helpValue: '<n>|channel|tensor',
  parse: async (text) => {
    if (text === 'channel' || text === 'tensor') return text;
    const size = Number(text);
    if (/^\d+$/.test(text) && size >= 2) return size;
    throw new BirdboneError(
      'usage',
      `"${text}" is not allowed. It must be a number of inputs that share a scale, channel or tensor.`,
      { suggestions: ['--group-size 64'] },
    );
  },
});

/** A number of bits: `4.5`. */
const bits = Flags.custom<number>({
  helpValue: '<bits>',
  parse: async (text) => {
    const value = Number(text);
    if (/^\d+(\.\d+)?$/.test(text) && value > 1 && value <= 16) return value;
    throw new BirdboneError('usage', `"${text}" is not allowed. It must be a number of bits above 1, up to 16.`);
  },
});

/** What the weights become. */
export const quantizeFlags = {
  scheme: Flags.string({
    summary:
      'What a weight becomes: int8, int6, int5, int4, int3, int2, w8a8, fp8, w8a8-fp8, nf4, fp16, bf16; or blocks for llama.cpp: q4_k_m, q6_k, q8_0 and others (docs/quantization.md).',
    helpValue: '<scheme>',
    env: envOf('scheme'),
  }),
  algorithm: Flags.option({ options: ['rtn', 'gptq', 'awq', 'hqq', 'smoothquant'] as const })({
    summary: 'How the codes are found; rtn by default, which rounds each weight to the nearest.',
    env: envOf('algorithm'),
  }),
  'group-size': groupSize({
    summary: "Inputs that share a scale, channel for one scale an output, or tensor; the scheme's own by default.",
    env: envOf('group-size'),
  }),
  asymmetric: Flags.boolean({
    summary: 'Give each group a zero point, for weights that are not spread about 0.',
    env: envOf('asymmetric'),
  }),
  scale: Flags.option({ options: ['absmax', 'mse'] as const })({
    summary: 'Scales by the largest weight of a group (the default), or those of the least squared error.',
    env: envOf('scale'),
  }),
  sparsity: ratio({
    summary: 'With gptq: the part of the weights that is removed in the same sweep, which makes up for both.',
    env: envOf('sparsity'),
  }),
  pattern: Flags.string({
    summary: 'With gptq: how the weights that stay lie: unstructured (with --sparsity), or N:M, as 2:4.',
    helpValue: '<pattern>',
    env: envOf('pattern'),
  }),
  format: Flags.option({ options: ['compressed-tensors', 'gptq', 'awq', 'gguf', 'native'] as const })({
    summary: 'Layout of the result; by default the first that an engine loads the scheme in.',
    env: envOf('format'),
  }),
  for: Flags.option({ options: HARDWARE })({
    summary:
      'Let scheme, algorithm and format be chosen for this hardware, as advise does, within --size; auto is this machine.',
    exclusive: ['scheme', 'bpw', 'format', 'keep'],
    env: envOf('for'),
  }),
  tp: count({
    summary: 'GPUs that the engine will divide each matrix over; refused before any work where the layout cannot be.',
    env: envOf('tp'),
  }),
  bpw: bits({
    summary: 'Bits for each weight, scales included: schemes are divided over the matrices to meet it.',
    exclusive: ['size'],
    env: envOf('bpw'),
  }),
  size: bytes({
    summary: 'Size of the published weights, of a GGUF that of the whole file: as --bpw.',
    exclusive: ['bpw'],
    env: envOf('size'),
  }),
  'kv-cache': Flags.option({ options: ['fp8'] as const })({
    summary: 'Also make scales for a cache of FP8 for keys and values, found on the calibration text.',
    env: envOf('kv-cache'),
  }),
  keep: Flags.string({
    summary: 'Another scheme for the tensors that a glob fits, dense to leave them; may be given several times.',
    helpValue: '<glob>=<scheme>',
    multiple: true,
    multipleNonGreedy: true,
    env: envOf('keep'),
  }),
};

/** The values of these flags, as oclif parses them. */
export interface QuantizeFlags {
  readonly scheme?: string | undefined;
  readonly algorithm?: 'rtn' | 'gptq' | 'awq' | 'hqq' | 'smoothquant' | undefined;
  readonly 'group-size'?: number | 'channel' | 'tensor' | undefined;
  readonly asymmetric?: boolean | undefined;
  readonly scale?: 'absmax' | 'mse' | undefined;
  readonly sparsity?: number | undefined;
  readonly pattern?: string | undefined;
  readonly keep?: readonly string[] | undefined;
  readonly 'kv-cache'?: 'fp8' | undefined;
  readonly bpw?: number | undefined;
  readonly size?: number | undefined;
}

/** The fields of a quantizing step that these flags set. Throws `usage` for an override without `=`. */
export function quantizeFields(flags: QuantizeFlags) {
  const {
    scheme,
    algorithm,
    'group-size': groupSize,
    asymmetric,
    scale,
    sparsity,
    pattern,
    keep,
    'kv-cache': kvCache,
    bpw,
    size: sizeBytes,
  } = flags;
  return {
    scheme,
    algorithm,
    groupSize,
    // A switch that is off is a switch that was not given.
    asymmetric: asymmetric || undefined,
    scale,
    sparsity,
    pattern,
    kvCache,
    bitsPerWeight: bpw,
    sizeBytes,
    keep: keep === undefined ? undefined : Object.fromEntries(keep.map(overrideOf)),
  };
}

/** A glob may hold `=`; a scheme's name does not. */
function overrideOf(text: string): [glob: string, scheme: string] {
  const at = text.lastIndexOf('=');
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
  throw new BirdboneError('usage', `"${text}" is not allowed. It must be a glob of tensor names, =, and a scheme.`, {
    suggestions: ["--keep '*down_proj*=int8'", "--keep '*.layers.0.*=dense'"],
  });
}
