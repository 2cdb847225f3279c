import { tensorGlob } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';
import type { LayoutLimits } from '../../layouts/index.js';
import type { LinearRole, Model } from '../../model/index.js';
import type { SettleContext } from '../../pruning/index.js';
import { type Choice, fitChoices } from '../../quantization/index.js';
import { assign } from '../assign.js';
import type { Format } from '../formats.js';
import type { Form, MatrixForm } from '../forms.js';
import type { QuantizeSettings } from '../settings.js';
import { candidatesOf, groupSizesFor } from './candidates.js';
import { bytesOf, costsOf } from './costs.js';
import { publishedBytes } from './published-bytes.js';
import type { Candidates } from './sensitivity.js';
import { uniformChoices } from './uniform.js';

/** What a model's matrices are to become under a budget, and what that comes to. */
export interface BudgetForms {
  readonly forms: readonly MatrixForm[];
  readonly spent: Spent;
}

/** How a budget was spent, as the journal and the quality report have it. */
export interface Spent {
  /** Bytes of the matrices that the budget is for, scales included, and what was allowed them. */
  readonly bytes: number;
  readonly budgetBytes: number;
  /** The weights of these matrices. */
  readonly weights: number;
  /** With a budget of bytes: those that will be published, as `publishedBytes` counts them, and what was allowed them. */
  readonly published?: { readonly bytes: number; readonly budgetBytes: number };
  /** Why all matrices got one form, where they did. */
  readonly reason?: string;
}

export interface BudgetTarget {
  readonly format: Format;
  readonly limits?: LayoutLimits;
}

/**
 * Divides the bits that `settings.bitsPerWeight` or `settings.sizeBytes` allow over the linears inside the blocks, so that what they
 * cost together is least (see `costsOf`) among the choices that use all but half a percent of the budget, where there are any. Without a calibration text all get one form, the largest that fits: the weights alone do not
 * show which of them matter. Overrides of `settings.keep` stand; what an engine loads as one layer gets one form where the format is
 * for such an engine. In a GGUF, embedding and head are chosen for too. Bits per weight are the mean over the matrices that may be chosen for; bytes are of everything that is
 * published. Neither is exceeded. Deterministic. Throws `usage` where even the fewest bits take more.
 */
export async function formsWithinBudget(
  settings: QuantizeSettings,
  { format, limits = {} }: BudgetTarget,
  context: SettleContext,
): Promise<BudgetForms> {
  const { model, calibration, earlier = [] } = context;
  const all = assign(model, { ...settings, scheme: format === 'gguf' ? 'q4_k_m' : 'int4' });
  const open = openMatrices(all, settings, { format, parts: limits.tensorParallel ?? 1 });
  const groups = [...groupsOf(open, format).values()];
  const weights = groups.map((members) => members.reduce((sum, { matrix }) => sum + matrix.rows * matrix.columns, 0));
  const published = (forms: readonly MatrixForm[]) =>
    publishedBytes(model, forms, { format, hasCacheScales: settings.kvCache !== undefined, earlier });
  const total = weights.reduce((sum, count) => sum + count, 0);
  const first = await firstBudget(settings, { all, open, total, published }, model);
  const { scale: search = 'absmax', algorithm, sizeBytes } = settings;
  const items = await costsOf(groups, { budgetBytes: first, search, algorithm }, context);
  /** What may be left unused, in the matrices' own bytes. */
  const slack = MAX_UNUSED * (sizeBytes ?? first);
  const isUniform = calibration.length === 0;
  for (let budgetBytes = first; ; ) {
    const places = isUniform
      ? uniformChoices(items, weights, budgetBytes)
      : fitChoices(items, budgetBytes, budgetBytes - slack);
    if (places === undefined) throw tooSmall(items, budgetBytes, { total, settings });
    const forms = formsAt(all, groups, places);
    const bytes = places.reduce((sum, place, group) => sum + items[group]![place]!.bytes, 0);
    const spent = { bytes, budgetBytes, weights: total, ...(isUniform && { reason: WITHOUT_TEXT }) };
    if (sizeBytes === undefined) return { forms, spent };
    const size = await published(forms);
    if (size <= sizeBytes) return { forms, spent: { ...spent, published: { bytes: size, budgetBytes: sizeBytes } } };
    // What stands beside codes and scales is not the same for all forms: little, but nothing may be above.
    budgetBytes = bytes - (size - sizeBytes);
  }
}

const WITHOUT_TEXT =
  'without a calibration text nothing shows which matrices need more bits, so that all have the same: --calibration FILE';

/** The forms with those that the groups got. */
function formsAt(
  all: readonly MatrixForm[],
  groups: readonly (readonly Candidates[])[],
  places: readonly number[],
): MatrixForm[] {
  const chosen = new Map<string, Form>();
  for (const [group, members] of groups.entries()) {
    for (const { matrix, forms } of members) chosen.set(matrix.weight, forms[places[group]!]!);
  }
  return all.map((matrix) => ({ ...matrix, form: chosen.get(matrix.weight) ?? matrix.form }));
}

/**
 * The part of a budget that choices may leave unused: where those that lose least would leave more, others are taken. Padding, and
 * what is foreseen of a manifest, may come to as much again: together at most 1 %.
 */
const MAX_UNUSED = 0.005;

/** Matrices that the budget may choose for: those that are neither overridden nor left as they are. */
function openMatrices(
  all: readonly MatrixForm[],
  settings: QuantizeSettings,
  { format, parts }: { readonly format: Format; readonly parts: number },
): Candidates[] {
  const overridden = Object.keys(settings.keep ?? {}).map(tensorGlob);
  const open = all.filter(
    ({ form, weight, spec }) =>
      (spec !== undefined || format === 'gguf') && form.kind !== 'dense' && !overridden.some((fits) => fits(weight)),
  );
  const groupSizes = groupSizesFor(open, { format, settings, parts });
  return open.map((matrix) => ({ matrix, forms: candidatesOf(matrix, { format, settings, groupSizes }) }));
}

interface Open {
  readonly all: readonly MatrixForm[];
  readonly open: readonly Candidates[];
  /** Weights of the matrices that may be chosen for. */
  readonly total: number;
  readonly published: (forms: readonly MatrixForm[]) => Promise<number>;
}

/** Bytes for the matrices that may be chosen for: of a size, what the rest leaves when these have their first forms. */
async function firstBudget(
  { bitsPerWeight: bits, sizeBytes }: QuantizeSettings,
  { all, open, total, published }: Open,
  model: Model,
): Promise<number> {
  if (bits !== undefined) return (total * bits) / 8;
  const own = open.reduce((sum, { matrix }) => sum + bytesOf(matrix, model), 0);
  return sizeBytes! - ((await published(all)) - own);
}

/** vLLM loads q, k and v as one layer, gate and up as one, and all experts as one (src/layouts/rules.ts, `refuseUnlikeFused`). */
const FUSED: Readonly<Partial<Record<LinearRole, string>>> = {
  q: 'qkv',
  k: 'qkv',
  v: 'qkv',
  gate: 'gate-up',
  up: 'gate-up',
};

/** Matrices that must get the same form, by a name of theirs. */
function groupsOf(open: readonly Candidates[], format: Format): Map<string, Candidates[]> {
  const groups = new Map<string, Candidates[]>();
  for (const candidates of open) {
    const { weight, spec, block } = candidates.matrix;
    const isFused = format !== 'gguf' && format !== 'native' && spec !== undefined;
    const role = isFused && (spec.expert === undefined ? FUSED[spec.role] : 'experts');
    const key = role ? `${block} ${role}` : weight;
    groups.set(key, [...(groups.get(key) ?? []), candidates]);
  }
  return groups;
}

function tooSmall(
  items: readonly (readonly Choice[])[],
  budgetBytes: number,
  { total, settings }: { readonly total: number; readonly settings: QuantizeSettings },
): BirdboneError {
  const least = items.reduce((sum, choices) => sum + Math.min(...choices.map(({ bytes }) => bytes)), 0);
  // A whole number of hundredths, and never one too few.
  const fewest = (Math.ceil((800 * least) / total) / 100).toFixed(2);
  const { bitsPerWeight, sizeBytes } = settings;
  const asked = bitsPerWeight ?? ((8 * Math.max(0, budgetBytes)) / total).toFixed(2);
  return new BirdboneError(
    'usage',
    `The budget leaves ${asked} bits for a weight; the fewest that this format has are ${fewest}, scales included.`,
    {
      suggestions: [
        sizeBytes === undefined ? `--bpw ${fewest}` : `--size ${Math.ceil(sizeBytes - budgetBytes + least)}`,
        'Prune or factorize first, which makes matrices smaller.',
      ],
    },
  );
}
