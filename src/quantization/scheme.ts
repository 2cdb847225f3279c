/** What shares a scale: the whole matrix, an output row, consecutive inputs of a row, or a rectangle of both. */
export type Strategy = 'tensor' | 'channel' | 'group' | 'block';

/** Types that scales can be stored in; they are rounded to them before anything is measured. */
export type ScaleDtype = 'F16' | 'BF16' | 'F32';

/** How the elements of a float scheme are stored, by the names of safetensors. */
export type FloatFormat = 'F8_E4M3' | 'F8_E5M2' | 'F16' | 'BF16';

/** How a weight is stored in fewer bits: the field's vocabulary (compressed-tensors, `QuantizationArgs`) as a record. */
export interface Scheme {
  /** Bits of one code, without its share of the scales. */
  readonly bits: number;
  readonly type: 'int' | 'float' | 'codebook';
  /** Of a float scheme. Those of 16 bits have no scales. */
  readonly format?: FloatFormat;
  /** Of a codebook scheme. */
  readonly codebook?: 'nf4';
  /** false, for integers alone: each scale has a zero point beside it, one of the codes. */
  readonly symmetric: boolean;
  readonly strategy: Strategy;
  /** Consecutive inputs that share a scale, with the strategy `group`; the last group of a row may be shorter. */
  readonly groupSize?: number;
  /** Rows and columns that share a scale, with the strategy `block`. */
  readonly blockShape?: readonly [rows: number, columns: number];
  readonly scaleDtype: ScaleDtype;
  /** Codebook alone: the scales are codes of 8 bits themselves, with a scale for each 256 of them (QLoRA's double quantization). */
  readonly doubleQuantization?: true;
  /** What the inputs are rounded to while the model runs, each token by its own largest value; absent: they stay as they are. */
  readonly activations?: 'int8' | 'fp8';
}

const small = { type: 'int', symmetric: true, strategy: 'group', groupSize: 64, scaleDtype: 'F16' } as const;
const int8 = { type: 'int', bits: 8, symmetric: true, strategy: 'channel', scaleDtype: 'F16' } as const;
const fp8 = { type: 'float', bits: 8, symmetric: true, strategy: 'channel', scaleDtype: 'F32' } as const;
const half = { type: 'float', bits: 16, symmetric: true, strategy: 'tensor', scaleDtype: 'F32' } as const;
const nf4 = {
  type: 'codebook',
  codebook: 'nf4',
  bits: 4,
  symmetric: true,
  strategy: 'group',
  groupSize: 64,
  scaleDtype: 'F32',
} as const;

/** Every scheme by name, with its defaults. A new one is a row; the contract test takes it in by itself. */
export const schemes: ReadonlyMap<string, Scheme> = new Map<string, Scheme>([
  ['int8', int8],
  ['int6', { ...small, bits: 6 }],
  ['int5', { ...small, bits: 5 }],
  ['int4', { ...small, bits: 4 }],
  ['int3', { ...small, bits: 3 }],
  ['int2', { ...small, bits: 2 }],
  ['w8a8', { ...int8, activations: 'int8' }],
  ['fp8', { ...fp8, format: 'F8_E4M3' }],
  ['fp8-e5m2', { ...fp8, format: 'F8_E5M2' }],
  ['w8a8-fp8', { ...fp8, format: 'F8_E4M3', activations: 'fp8' }],
  ['nf4', nf4],
  ['nf4-double', { ...nf4, doubleQuantization: true }],
  ['fp16', { ...half, format: 'F16' }],
  ['bf16', { ...half, format: 'BF16' }],
]);

/** A scheme in words that name everything that differs from its row: "int4, groups of 128, asymmetric". */
export function describeScheme(scheme: Scheme): string {
  const name = [...schemes].find(
    ([, row]) =>
      row.type === scheme.type &&
      row.bits === scheme.bits &&
      row.format === scheme.format &&
      row.activations === scheme.activations &&
      row.doubleQuantization === scheme.doubleQuantization,
  );
  const what = name?.[0] ?? `${scheme.type}${scheme.bits}`;
  if (scheme.bits === 16) return what;
  const shared = {
    tensor: 'per tensor',
    channel: 'per channel',
    group: `groups of ${scheme.groupSize}`,
    block: `blocks of ${scheme.blockShape?.join(' × ')}`,
  }[scheme.strategy];
  return `${what}, ${shared}${scheme.symmetric ? '' : ', asymmetric'}`;
}
