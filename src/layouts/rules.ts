import { canonicalJson, quoted } from '../checkpoint/index.js';
import type { CodingRecord } from '../coding/index.js';
import { BirdboneError } from '../errors.js';
import type { Decoder, LinearRole } from '../model/index.js';
import { describeScheme, type Scheme, schemeOfRecord } from '../quantization/index.js';
import type { LayoutLimits } from './layout.js';

/** A linear of the model and how it is stored; without a scheme it is dense. */
export interface LinearUse {
  readonly weight: string;
  /** The weight's name without `.weight`: what engines' lists of modules have. */
  readonly module: string;
  readonly role: LinearRole | 'head';
  readonly block?: number;
  readonly expert?: number;
  readonly rows: number;
  readonly columns: number;
  readonly scheme?: Scheme;
}

/** A linear that is stored in coded form. */
export type CodedLinear = LinearUse & { readonly scheme: Scheme };

/** An `unsupported` error that names the layout's or its engine's rule. */
export function refusal(
  layout: string,
  rule: string,
  { tensor, problem, suggestion }: { readonly tensor?: string; readonly problem: string; readonly suggestion: string },
): BirdboneError {
  return new BirdboneError('unsupported', `Cannot write ${layout} (rule ${rule}): ${problem}.`, {
    ...(tensor !== undefined && { tensor }),
    suggestions: [suggestion],
  });
}

/**
 * The model's linears in the order of a forward pass, the head last unless it is tied. Throws `unsupported` for a coded weight that is
 * none of them (an embedding), that is stored transposed, or whose coding is neither of integers nor of floats.
 */
export function linearsOf(layout: string, decoder: Decoder, coded: ReadonlyMap<string, CodingRecord>): LinearUse[] {
  const specs: Omit<LinearUse, 'module' | 'scheme'>[] = decoder.blocks.flatMap(({ index, linears }) =>
    linears.map(({ weight, role, expert, rows, columns }) => {
      return { weight, role, block: index, ...(expert !== undefined && { expert }), rows, columns };
    }),
  );
  if (!decoder.tied) {
    specs.push({ weight: decoder.head, role: 'head', rows: decoder.vocabulary, columns: decoder.hidden });
  }
  refuseStray(layout, specs, coded);
  return specs.map((spec) => {
    const record = coded.get(spec.weight);
    return {
      ...spec,
      module: spec.weight.replace(/\.weight$/, ''),
      ...(record && { scheme: schemeIn(layout, spec.weight, record) }),
    };
  });
}

function refuseStray(
  layout: string,
  specs: readonly { readonly weight: string }[],
  coded: ReadonlyMap<string, CodingRecord>,
): void {
  const known = new Set(specs.map(({ weight }) => weight));
  const stray = [...coded.keys()].find((name) => !known.has(name));
  if (stray === undefined) return;
  throw refusal(layout, 'linear-layers', {
    tensor: stray,
    problem: `${quoted(stray)} is quantized, and it is no linear layer of its own`,
    suggestion: 'Leave embeddings and a tied head as they are.',
  });
}

function schemeIn(layout: string, tensor: string, record: CodingRecord): Scheme {
  const refuse = (problem: string, suggestion: string) =>
    refusal(layout, 'codings', { tensor, problem: `${quoted(tensor)} ${problem}`, suggestion });
  if (record.kind !== 'integer' && record.kind !== 'float8') {
    throw refuse(`is stored as ${record.kind}, which it has no form for`, 'Quantize to integers or FP8.');
  }
  if (record.layout === 'in-out') {
    throw refuse('is stored transposed by its model (Conv1D), which no engine looks for here', 'Write a GGUF instead.');
  }
  if (record.correction !== undefined) {
    const problem = `has a low-rank correction of rank ${record.correction}, which it has no place for`;
    throw refuse(problem, 'Write the correction as an adapter, or leave it out.');
  }
  return schemeOfRecord(record).scheme;
}

export function isCoded(use: LinearUse): use is CodedLinear {
  return use.scheme !== undefined;
}

/**
 * vLLM loads q, k and v as one layer, gate and up as another, and all experts of a block as one: what is loaded as one layer must be
 * quantized alike.
 */
export function refuseUnlikeFused(layout: string, uses: readonly LinearUse[]): void {
  const layers = new Map<string, LinearUse>();
  for (const use of uses) {
    const part = fusedLayerOf(use);
    if (part === undefined) continue;
    const layer = `${use.block} ${part}`;
    const first = layers.get(layer) ?? use;
    layers.set(layer, first);
    if (schemeKey(first.scheme) === schemeKey(use.scheme)) continue;
    throw refusal(layout, 'fused-layers', {
      tensor: use.weight,
      problem: `vLLM loads ${first.weight} and ${use.weight} as one layer, and one is ${inWords(first)}, the other ${inWords(use)}`,
      suggestion: 'Give q, k and v one scheme, gate and up one, and all experts of a block one.',
    });
  }
}

/** Equal for schemes that are equal; undefined for a dense weight. */
export function schemeKey(scheme: Scheme | undefined): string | undefined {
  return scheme === undefined ? undefined : canonicalJson(scheme);
}

function inWords({ scheme }: LinearUse): string {
  return scheme === undefined ? 'dense' : describeScheme(scheme);
}

const FUSED_ROLES: Partial<Record<LinearUse['role'], string>> = {
  q: 'qkv',
  k: 'qkv',
  v: 'qkv',
  gate: 'gate-up',
  up: 'gate-up',
};

function fusedLayerOf({ role, expert }: LinearUse): string | undefined {
  if (expert !== undefined) return 'experts';
  return FUSED_ROLES[role];
}

/** No kernel takes a last group that is shorter than the others. */
export function refuseUnevenGroups(layout: string, { weight, columns, scheme }: CodedLinear): void {
  if (scheme.groupSize === undefined || columns % scheme.groupSize === 0) return;
  throw refusal(layout, 'group-divides-inputs', {
    tensor: weight,
    problem: `${weight} has ${columns} inputs, which groups of ${scheme.groupSize} do not divide`,
    suggestion: `Take a group size that divides ${columns}, or one scale a row: --group-size channel`,
  });
}

/** Roles whose outputs a GPU has a part of; the inputs of the others' are divided. */
const DIVIDED_OUTPUTS = new Set<LinearUse['role']>(['q', 'k', 'v', 'qkv', 'gate', 'up', 'gate-up', 'head']);

/** What divides a matrix over GPUs must leave whole groups, and `outputs` (8 for AWQ's words) whole too. */
export function refuseUndivided(
  layout: string,
  use: CodedLinear,
  { tensorParallel = 1 }: LayoutLimits = {},
  outputs = 1,
): void {
  const { weight, rows, columns, scheme } = use;
  const isOutputs = DIVIDED_OUTPUTS.has(use.role);
  const [size, unit, what] = isOutputs ? [rows, outputs, 'outputs'] : [columns, scheme.groupSize ?? 1, 'inputs'];
  if (size % (unit * tensorParallel) === 0) return;
  const parts = unit === 1 ? '' : ` of whole ${isOutputs ? 'words' : 'groups'} (${unit})`;
  throw refusal(layout, 'tensor-parallel', {
    tensor: weight,
    problem: `the ${size} ${what} of ${weight} cannot be divided into ${tensorParallel} parts${parts}`,
    suggestion: 'Take fewer GPUs, or a smaller group size.',
  });
}
