import type { EncodableDtype } from '../../ggml/index.js';
import { schemeOf } from '../../quantization/index.js';
import { DTYPES } from '../../tensor/index.js';
import type { Format } from '../formats.js';
import type { Form, MatrixForm } from '../forms.js';
import type { QuantizeSettings } from '../settings.js';

/** What a format holds side by side. */
interface IntegerFormat {
  readonly names: readonly string[];
  /** Matrices may also stay as they are. */
  readonly dense?: true;
  /** Each matrix may have groups of its own, and zero points or none. */
  readonly groups?: true;
}

const INTEGERS: Readonly<Record<Exclude<Format, 'gguf'>, IntegerFormat>> = {
  'compressed-tensors': { names: ['int4', 'int8'], dense: true, groups: true },
  gptq: { names: ['int2', 'int3', 'int4', 'int8'] },
  awq: { names: ['int4'], dense: true },
  native: { names: ['int2', 'int3', 'int4', 'int5', 'int6', 'int8'], dense: true, groups: true },
};

/** Inputs that share a scale where nobody says how many. The scales of smaller groups take more: levels between those of the bits. */
const GROUP_SIZE = 64;
const GROUP_SIZES = [128, GROUP_SIZE, 32];

/** At six bits and above a zero point takes more than it gives: on tinystories-656k a fifth less error for 0.125 bits. */
const MOST_BITS_WITH_ZERO_POINTS = 5;

/** ggml's types by the columns that they divide, the widest blocks first. */
const BLOCKS: readonly (readonly EncodableDtype[])[] = [
  ['Q2_K', 'Q3_K', 'Q4_K', 'Q4_1', 'Q5_K', 'Q5_1', 'Q6_K', 'Q8_0'],
  ['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0'],
];

/** What is to be chosen among. */
export interface CandidateOptions {
  readonly format: Format;
  readonly settings: QuantizeSettings;
  /** Sizes that groups may have. */
  readonly groupSizes: readonly NonNullable<QuantizeSettings['groupSize']>[];
}

/** The group sizes that divide all these matrices' inputs on each of so many GPUs; the one that was asked for, or else the usual one, where none does. */
export function groupSizesFor(
  matrices: readonly Pick<MatrixForm, 'columns'>[],
  { format, settings, parts }: Pick<CandidateOptions, 'format' | 'settings'> & { readonly parts: number },
): CandidateOptions['groupSizes'] {
  const { groupSize } = settings;
  if (groupSize !== undefined || format === 'gguf' || !INTEGERS[format].groups) return [groupSize ?? GROUP_SIZE];
  const dividing = GROUP_SIZES.filter((size) => matrices.every(({ columns }) => columns % (size * parts) === 0));
  return dividing.length === 0 ? [GROUP_SIZE] : dividing;
}

/** What a matrix may become, the fewest bits first; the same for matrices of as many columns. */
export function candidatesOf(
  { columns }: Pick<MatrixForm, 'columns'>,
  { format, settings, groupSizes }: CandidateOptions,
): readonly Form[] {
  if (format === 'gguf') {
    const types = BLOCKS.find((some) => some.every((dtype) => columns % DTYPES[dtype].blockElements === 0)) ?? [];
    return [...types.map((dtype): Form => ({ kind: 'blocks', dtype })), { kind: 'blocks', dtype: 'F16' }];
  }
  const { names, dense, groups } = INTEGERS[format];
  const schemes = names.flatMap((name) =>
    groupSizes.flatMap((groupSize) => {
      const [plain, shifted] = [false, true].map((asymmetric) => schemeOf(name, { groupSize, asymmetric }));
      if (settings.asymmetric !== undefined) return settings.asymmetric ? [shifted!] : [plain!];
      return groups && plain!.bits <= MOST_BITS_WITH_ZERO_POINTS ? [plain!, shifted!] : [plain!];
    }),
  );
  const forms = schemes.map((scheme): Form => ({ kind: 'scheme', scheme }));
  return dense ? [...forms, { kind: 'dense', reason: 'the budget left room for it' }] : forms;
}
