import { tensorGlob } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { chooseTypes, type EncodableDtype, isEncodable, type MixTensor, type TensorRole } from '../ggml/index.js';
import type { BlockSpec, LinearRole, LinearSpec, Model } from '../model/index.js';
import { DTYPES } from '../tensor/index.js';
import type { Form, MatrixForm } from './forms.js';
import { type NamedScheme, namedScheme } from './scheme-names.js';
import type { QuantizeSettings } from './settings.js';

/** What an override calls a matrix that is to stay as it is. */
export const DENSE = 'dense';

/**
 * What each matrix of a model is to be stored as: linears inside the blocks in model order, then embedding and head. Throws `usage`
 * for an override that fits no matrix or names no scheme, `unsupported` for a matrix that cannot be stored in blocks.
 */
export function assign(model: Model, settings: QuantizeSettings): readonly MatrixForm[] {
  const named = namedScheme(settings.scheme!, settings);
  const matrices = matricesOf(model);
  const overridden = overridesOf(matrices, named, settings.keep ?? {});
  const chosen =
    named.kind === 'mix'
      ? byMix(matrices, named, { model, overridden, weighted: settings.weighted === true })
      : undefined;
  return matrices.map((matrix) => {
    const form = overridden.get(matrix.weight) ?? chosen?.get(matrix.weight) ?? bySchemeOf(matrix, named);
    refuseTransposedBlocks(matrix, form, model);
    return { ...matrix, form };
  });
}

type Matrix = Omit<MatrixForm, 'form'>;

function matricesOf({ decoder, checkpoint }: Model): Matrix[] {
  const inBlocks = decoder.blocks.flatMap((block: BlockSpec) =>
    block.linears.map((spec) => {
      return { weight: spec.weight, rows: spec.rows, columns: spec.columns, spec, block: block.index };
    }),
  );
  const { embedding, head, vocabulary: rows, hidden: columns } = decoder;
  const outside = [...new Set([embedding, head].map((name) => checkpoint.aliases.get(name) ?? name))];
  return [...inBlocks, ...outside.filter((name) => name !== '').map((weight) => ({ weight, rows, columns }))];
}

/** One scheme for the linears inside the blocks; what decides where tokens go, and what is looked up in, stays. */
function bySchemeOf({ spec }: Matrix, named: NamedScheme): Form {
  if (named.kind === 'mix') return { kind: 'dense', reason: 'the mix leaves it as it is' };
  if (spec === undefined)
    return { kind: 'dense', reason: 'embedding and head stay: they are no linears inside a block' };
  if (spec.role === 'router')
    return { kind: 'dense', reason: 'a router stays: its few weights decide where tokens go' };
  return { kind: 'scheme', scheme: named.scheme };
}

const ROLES: Readonly<Record<Exclude<LinearRole, 'router'>, TensorRole>> = {
  q: 'attn_q',
  k: 'attn_k',
  v: 'attn_v',
  qkv: 'attn_qkv',
  o: 'attn_output',
  gate: 'ffn_gate',
  up: 'ffn_up',
  'gate-up': 'ffn_up',
  down: 'ffn_down',
  weight: 'other',
};

/** A mix's choice for every matrix that is not overridden, as llama.cpp makes it. */
function byMix(
  matrices: readonly Matrix[],
  named: Extract<NamedScheme, { kind: 'mix' }>,
  {
    model,
    overridden,
    weighted,
  }: { readonly model: Model; readonly overridden: ReadonlyMap<string, Form>; readonly weighted: boolean },
): ReadonlyMap<string, Form> {
  const { decoder } = model;
  const experts = decoder.blocks[0]?.experts?.count;
  const tensors = matrices.flatMap((matrix): MixTensor[] => {
    const role = roleOf(matrix, model);
    if (role === undefined) return [];
    const { weight: name, columns, block: layer } = matrix;
    return [{ name, role, columns, ...(layer !== undefined && { layer }) }];
  });
  const types = chooseTypes(named.mix, tensors, {
    layers: decoder.blocks.length,
    heads: decoder.heads,
    keyValueHeads: decoder.kvHeads,
    architecture: decoder.architecture,
    weighted,
    ...(experts !== undefined && { experts }),
  });
  return new Map(
    [...types]
      .filter(([name]) => !overridden.has(name))
      .map(([name, choice]) => [name, { kind: 'blocks', ...choice } as const]),
  );
}

function roleOf({ spec, weight }: Matrix, { decoder, checkpoint }: Model): TensorRole | undefined {
  if (spec !== undefined) return spec.role === 'router' ? undefined : ROLES[spec.role];
  return weight === (checkpoint.aliases.get(decoder.embedding) ?? decoder.embedding) ? 'embedding' : 'output';
}

/** Forms that `--keep GLOB=SCHEME` sets, by weight; the last glob that fits counts. */
function overridesOf(
  matrices: readonly Matrix[],
  named: NamedScheme,
  keep: Readonly<Record<string, string>>,
): ReadonlyMap<string, Form> {
  const forms = new Map<string, Form>();
  for (const [glob, scheme] of Object.entries(keep)) {
    const fits = tensorGlob(glob);
    const found = matrices.filter(({ weight }) => fits(weight));
    if (found.length === 0) {
      throw new BirdboneError('usage', `No matrix fits ${glob}, which --keep gives the scheme ${scheme}.`, {
        suggestions: ['List the names: birdbone inspect MODEL --tensors'],
      });
    }
    for (const matrix of found) forms.set(matrix.weight, overrideOf(matrix, scheme, { glob, named }));
  }
  return forms;
}

function overrideOf(
  { columns, weight }: Matrix,
  scheme: string,
  { glob, named }: { readonly glob: string; readonly named: NamedScheme },
): Form {
  if (scheme === DENSE) return { kind: 'dense', reason: `--keep ${glob}=${DENSE}` };
  if (named.kind === 'scheme') {
    const other = namedScheme(scheme);
    if (other.kind === 'scheme') return other;
    throw mixed(glob, scheme, 'one file holds integers with scales, or blocks of ggml');
  }
  const dtype = scheme.toUpperCase();
  if (!isEncodable(dtype)) throw mixed(glob, scheme, 'a matrix among blocks of ggml is dense or has one block type');
  if (columns % DTYPES[dtype].blockElements === 0) return { kind: 'blocks', dtype: dtype satisfies EncodableDtype };
  throw new BirdboneError(
    'unsupported',
    `${weight} cannot be ${dtype}: its rows of ${columns} are no whole number of blocks of ${DTYPES[dtype].blockElements}.`,
    { tensor: weight, suggestions: ['Take q8_0, whose blocks have 32.'] },
  );
}

function mixed(glob: string, scheme: string, rule: string): BirdboneError {
  return new BirdboneError('usage', `--keep ${glob}=${scheme} is not allowed here: ${rule}.`, {
    suggestions: [`--keep ${glob}=${DENSE}`],
  });
}

/** Blocks run along a row's inputs; a weight that is stored transposed has them down its columns. */
function refuseTransposedBlocks({ spec, weight }: Matrix, form: Form, { checkpoint }: Model): void {
  if (form.kind !== 'blocks' || spec?.layout !== 'in-out') return;
  throw new BirdboneError(
    'unsupported',
    `${weight} is stored transposed: blocks along its inputs have no place there.`,
    {
      file: checkpoint.path,
      tensor: weight,
      suggestions: ['Write the blocks while converting: birdbone convert MODEL --out FILE.gguf --dtype q4_k_m'],
    },
  );
}

/** The linears of these forms that have a scheme, as a quantizer asks for them. */
export function schemesBySpec(forms: readonly MatrixForm[]) {
  const byWeight = new Map(forms.map(({ weight, form }) => [weight, form]));
  return ({ weight }: Pick<LinearSpec, 'weight'>) => {
    const form = byWeight.get(weight);
    return form?.kind === 'scheme' ? form.scheme : undefined;
  };
}
