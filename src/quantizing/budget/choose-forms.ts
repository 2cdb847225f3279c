import { tensorGlob } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';
import type { LinearRole, Model } from '../../model/index.js';
import type { SettleContext } from '../../pruning/index.js';
import { type Choice, fitChoices } from '../../quantization/index.js';
import { assign } from '../assign.js';
import type { Format } from '../formats.js';
import type { Form, MatrixForm } from '../forms.js';
import type { QuantizeSettings } from '../settings.js';
import { candidatesOf } from './candidates.js';
import { bytesOf, costsOf } from './costs.js';
import type { Candidates } from './sensitivity.js';

/** What a model's matrices are to become under a budget, and what that comes to. */
export interface BudgetForms {
  readonly forms: readonly MatrixForm[];
  /** Bytes of the matrices that the budget is for, scales included, and what was allowed them. */
  readonly bytes: number;
  readonly budgetBytes: number;
}

/**
 * Divides the bits that `settings.bitsPerWeight` or `settings.sizeBytes` allow over the linears inside the blocks, so that what they
 * cost together is least (see `costsOf`). Overrides of `settings.keep` stand; what an engine loads as one layer gets one form where the format is
 * for such an engine. Bits per weight are the mean over the matrices that may be chosen for; bytes are of everything that the model
 * stores. Deterministic. Throws `usage` where even the fewest bits take more.
 */
export async function formsWithinBudget(
  settings: QuantizeSettings,
  format: Format,
  context: SettleContext,
): Promise<BudgetForms> {
  const { model } = context;
  const all = assign(model, { ...settings, scheme: format === 'gguf' ? 'q4_k_m' : 'int4' });
  const open = openMatrices(all, settings, format);
  const budgetBytes = budgetOf(settings, { all, open }, model);
  const groups = [...groupsOf(open, format).values()];
  const items = await costsOf(groups, { budgetBytes, search: settings.scale ?? 'absmax' }, context);
  const places = fitChoices(items, budgetBytes);
  if (places === undefined) throw tooSmall(items, budgetBytes, { open, settings });
  const chosen = new Map<string, Form>();
  for (const [group, members] of groups.entries()) {
    for (const { matrix, forms } of members) chosen.set(matrix.weight, forms[places[group]!]!);
  }
  return {
    forms: all.map((matrix) => ({ ...matrix, form: chosen.get(matrix.weight) ?? matrix.form })),
    bytes: places.reduce((sum, place, group) => sum + items[group]![place]!.bytes, 0),
    budgetBytes,
  };
}

/** Matrices that the budget may choose for: linears inside the blocks that are neither overridden nor left as they are. */
function openMatrices(all: readonly MatrixForm[], settings: QuantizeSettings, format: Format): Candidates[] {
  const overridden = Object.keys(settings.keep ?? {}).map(tensorGlob);
  return all
    .filter(
      ({ form, weight, spec }) =>
        spec !== undefined && form.kind !== 'dense' && !overridden.some((fits) => fits(weight)),
    )
    .map((matrix) => ({ matrix, forms: candidatesOf(matrix, format, settings) }));
}

function budgetOf(
  { bitsPerWeight: bits, sizeBytes }: QuantizeSettings,
  { all, open }: { readonly all: readonly MatrixForm[]; readonly open: readonly Candidates[] },
  model: Model,
): number {
  const weights = open.reduce((sum, { matrix }) => sum + matrix.rows * matrix.columns, 0);
  if (bits !== undefined) return (weights * bits) / 8;
  const names = new Set(open.map(({ matrix }) => matrix.weight));
  const fixed = all.filter(({ weight }) => !names.has(weight));
  const matrices = new Set(all.map(({ weight }) => weight));
  const others = [...model.checkpoint.tensors.values()].filter(({ name }) => !matrices.has(name));
  const fixedBytes = fixed.reduce((sum, matrix) => sum + bytesOf(matrix, model), 0);
  return sizeBytes! - fixedBytes - others.reduce((sum, { byteLength }) => sum + byteLength, 0);
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
  { open, settings }: { readonly open: readonly Candidates[]; readonly settings: QuantizeSettings },
): BirdboneError {
  const least = items.reduce((sum, choices) => sum + Math.min(...choices.map(({ bytes }) => bytes)), 0);
  const weights = open.reduce((sum, { matrix }) => sum + matrix.rows * matrix.columns, 0);
  const fewest = ((8 * least) / weights).toFixed(2);
  const asked = settings.bitsPerWeight ?? ((8 * Math.max(0, budgetBytes)) / weights).toFixed(2);
  return new BirdboneError(
    'usage',
    `The budget leaves ${asked} bits for a weight; the fewest that this format has are ${fewest}, scales included.`,
    {
      suggestions: [
        `--bpw ${Math.ceil(Number(fewest) * 10) / 10}`,
        'Prune or factorize first, which makes matrices smaller.',
      ],
    },
  );
}
