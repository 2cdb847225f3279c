import type { CodingRecord } from '../coding/index.js';
import { BirdboneError } from '../errors.js';
import type { Layout, LayoutLimits } from '../layouts/index.js';
import type { Model } from '../model/index.js';
import { describeForm, type MatrixForm, recordOfMatrix } from './forms.js';
import { namedScheme } from './scheme-names.js';
import type { QuantizeSettings } from './settings.js';

/**
 * Forms in which a quantized model is published: layouts of engines, one file for llama.cpp, and our own, which holds every scheme and
 * which birdbone alone reads.
 */
export const FORMATS = ['compressed-tensors', 'gptq', 'awq', 'gguf', 'native'] as const;
export type Format = (typeof FORMATS)[number];

/** Schemes that compressed-tensors has no kernel for, and what holds them. All others of integers and FP8 go there. */
const ELSEWHERE: Readonly<Record<string, Format>> = {
  int2: 'gptq',
  int3: 'gptq',
  int5: 'native',
  int6: 'native',
  'fp8-e5m2': 'native',
  nf4: 'native',
  'nf4-double': 'native',
  fp16: 'native',
  bf16: 'native',
};

/** The format that a scheme is published in where nobody named one: the first that an engine loads. */
export function defaultFormat(settings: QuantizeSettings, out: string): Format {
  if (out.toLowerCase().endsWith('.gguf')) return 'gguf';
  if (settings.scheme === undefined) return 'compressed-tensors';
  const named = namedScheme(settings.scheme, settings);
  if (named.kind === 'mix') return 'gguf';
  return ELSEWHERE[settings.scheme] ?? 'compressed-tensors';
}

/**
 * Throws `usage` for a format that cannot hold a scheme at all, with those that can, and what the engine's layout refuses of this
 * model: before any work.
 */
export async function checkFormat(
  format: Format,
  forms: readonly MatrixForm[],
  { model, layouts, limits }: { readonly model: Model; readonly layouts: LayoutTable; readonly limits: LayoutLimits },
): Promise<void> {
  const blocks = forms.find(({ form }) => form.kind === 'blocks');
  const coded = forms.find(({ form }) => form.kind === 'scheme' && form.scheme.bits < 16);
  if (format === 'gguf') {
    if (coded !== undefined)
      throw cannotHold(format, coded, ['a mix of its blocks: --scheme q4_k_m', '--format compressed-tensors']);
    return;
  }
  if (blocks !== undefined) throw cannotHold(format, blocks, ['--out FILE.gguf', 'an integer scheme: --scheme int4']);
  if (format === 'native') return;
  if (coded === undefined) throw nothingCoded(format);
  const records = new Map<string, CodingRecord>();
  for (const matrix of forms) {
    const record = recordOfMatrix(matrix);
    if (record !== undefined) records.set(matrix.weight, record);
  }
  const layout = await layouts.load(format);
  layout.check(model, records, limits);
}

/** What is needed of `layouts`. */
export interface LayoutTable {
  load(name: string): Promise<Layout>;
}

function cannotHold(format: Format, { weight, form }: MatrixForm, suggestions: readonly string[]): BirdboneError {
  return new BirdboneError(
    'usage',
    `The format ${format} cannot hold ${describeForm(form)}, which ${weight} is to be.`,
    {
      tensor: weight,
      suggestions: [...suggestions],
    },
  );
}

function nothingCoded(format: Format): BirdboneError {
  return new BirdboneError(
    'usage',
    `The format ${format} is for quantized weights, and every matrix stays a plain float.`,
    {
      suggestions: ['--format native writes an ordinary folder.'],
    },
  );
}
