import type { EncodableDtype } from '../../ggml/index.js';
import { schemeOf } from '../../quantization/index.js';
import { DTYPES } from '../../tensor/index.js';
import type { Format } from '../formats.js';
import type { Form, MatrixForm } from '../forms.js';
import type { QuantizeSettings } from '../settings.js';

/** Integer schemes that a format holds side by side; where it says so, matrices may also stay as they are. */
const INTEGERS: Readonly<
  Record<Exclude<Format, 'gguf'>, { readonly names: readonly string[]; readonly dense?: true }>
> = {
  'compressed-tensors': { names: ['int4', 'int8'], dense: true },
  gptq: { names: ['int2', 'int3', 'int4', 'int8'] },
  awq: { names: ['int4'], dense: true },
  native: { names: ['int2', 'int3', 'int4', 'int6', 'int8'], dense: true },
};

/** ggml's types by the columns that they divide, the widest blocks first. */
const BLOCKS: readonly (readonly EncodableDtype[])[] = [
  ['Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K', 'Q8_0'],
  ['Q4_0', 'Q5_0', 'Q8_0'],
];

/** What a matrix may become in that format, the fewest bits first; the same for matrices of as many columns. */
export function candidatesOf(
  { columns }: Pick<MatrixForm, 'columns'>,
  format: Format,
  { groupSize, asymmetric }: QuantizeSettings,
): readonly Form[] {
  if (format === 'gguf') {
    const types = BLOCKS.find((some) => some.every((dtype) => columns % DTYPES[dtype].blockElements === 0)) ?? [];
    return [...types.map((dtype): Form => ({ kind: 'blocks', dtype })), { kind: 'blocks', dtype: 'F16' }];
  }
  const { names, dense } = INTEGERS[format];
  const options = {
    groupSize: groupSize ?? 64,
    ...(asymmetric !== undefined && { asymmetric }),
  };
  const schemes = names.map((name): Form => ({ kind: 'scheme', scheme: schemeOf(name, options) }));
  return dense ? [...schemes, { kind: 'dense', reason: 'the budget left room for it' }] : schemes;
}
