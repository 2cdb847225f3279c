import type { SchemeOptions } from '../src/quantization/index.js';
import type { QuantizerOptions } from '../src/quantizing/index.js';
import type { ReferenceAlgorithm } from '../test/reference/quantization/quantize-reference.js';

export const MODEL = 'tinystories-656k';
export const DATA = 'tinystories-1000';
export const CONTEXT = 256;
export const CALIBRATION_WINDOWS = 128;
/** Windows that both sides score: float64 loops set the pace. Our side scores the whole text too. */
export const COMPARED_WINDOWS = 64;

/** One row of the table. */
export interface Variant {
  /** Unique; what --only looks at. */
  readonly name: string;
  /** Absent for the dense model. */
  readonly algorithm?: string;
  readonly scheme?: string;
  readonly schemeOptions?: SchemeOptions;
  readonly options?: QuantizerOptions;
  /** What the reference does for it; absent where it has nothing. */
  readonly reference?: ReferenceAlgorithm;
  /** Channels with outliers are planted into the model first, so that it computes the same (see plantOutliers). */
  readonly outliers?: true;
}

const PLAIN: QuantizerOptions = { actOrder: false, trueSequential: false };
const ACT_ORDER: QuantizerOptions = { actOrder: true, trueSequential: false };
const G64: SchemeOptions = { groupSize: 64 };

const atBits = (bits: 3 | 4): readonly Variant[] => {
  const scheme = `int${bits}`;
  const row = (how: string, algorithm: string, rest: Partial<Variant> = {}): Variant => ({
    name: `${how} ${scheme} g64`,
    algorithm,
    scheme,
    schemeOptions: G64,
    ...rest,
  });
  const asymmetric = { schemeOptions: { ...G64, asymmetric: true } };
  return [
    row('rtn', 'rtn', { reference: 'rtn' }),
    row('gptq', 'gptq', { options: PLAIN, reference: 'gptq' }),
    row('gptq act-order', 'gptq', { options: ACT_ORDER, reference: 'gptq act-order' }),
    row('gptq act-order, true sequential', 'gptq'),
    row('awq', 'awq', { reference: 'awq' }),
    { ...row('rtn', 'rtn', asymmetric), name: `rtn ${scheme} g64 asymmetric` },
    { ...row('hqq', 'hqq', asymmetric), name: `hqq ${scheme} g64 asymmetric` },
  ];
};

const w8a8 = (algorithm: 'rtn' | 'smoothquant', outliers: boolean): Variant => ({
  name: `${algorithm} w8a8${outliers ? ' with outliers' : ''}`,
  algorithm,
  scheme: 'w8a8',
  reference: algorithm,
  ...(outliers && { outliers: true as const }),
});

export const VARIANTS: readonly Variant[] = [
  { name: 'dense' },
  { name: 'rtn int8 per channel', algorithm: 'rtn', scheme: 'int8', reference: 'rtn' },
  ...atBits(4),
  ...atBits(3),
  w8a8('rtn', false),
  w8a8('smoothquant', false),
  w8a8('rtn', true),
  w8a8('smoothquant', true),
];
