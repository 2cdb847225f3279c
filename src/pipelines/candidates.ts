import { BirdboneError } from '../errors.js';
import { outputFormat, type Recipe, type Step } from '../recipe.js';
import { findingsOf } from '../waves/index.js';

/** A recipe that a search tries: some of the steps, with budgets of its own, in an order that the rules allow. */
export interface Candidate {
  /** In words, unique within a search: `prune ffn 20 % + quantize q4_k_m`. */
  readonly name: string;
  readonly steps: readonly Step[];
}

/** Each is a model that is made and measured; a search of more is for somebody who has chosen what to leave out. */
const MAX_CANDIDATES = 64;

/** Parts of a step's own share that are tried besides it. */
const PARTS = [1, 0.5];

/** Schemes by bits, the most first: what stands beside a recipe's scheme, by the form of the result. */
const SCHEMES: Readonly<Partial<Record<ReturnType<typeof outputFormat>, readonly string[]>>> = {
  gguf: ['q8_0', 'q6_k', 'q5_k_m', 'q4_k_m', 'q3_k_m', 'q2_k'],
  'compressed-tensors': ['int8', 'int4'],
  gptq: ['int8', 'int4', 'int3', 'int2'],
  awq: ['int4'],
  native: ['int8', 'int6', 'int5', 'int4', 'int3', 'int2'],
};

/**
 * Returns what a search over a recipe tries: every choice of a budget for each step (its own, half of it, none; its scheme and those
 * with the next more and fewer bits), in every order of the steps that the rules of compatibility let through. Pure; the recipe's own
 * steps are among them. Throws `usage` when there are too many, or the recipe sheds its vocabulary, whose results cannot be compared.
 */
export function candidatesOf(recipe: Recipe): Candidate[] {
  refuseVocabulary(recipe);
  const format = outputFormat(recipe);
  const choices = recipe.steps.map((step) => budgetsOf(step, SCHEMES[format] ?? []));
  const chosen = choices
    .reduce<(Step | undefined)[][]>((all, each) => all.flatMap((steps) => each.map((step) => [...steps, step])), [[]])
    .map((steps) => steps.filter((step) => step !== undefined))
    .filter((steps) => steps.length > 0);
  const ordered = chosen.flatMap((steps) => ordersOf(steps).filter((order) => isAllowed({ ...recipe, steps: order })));
  const named = new Map(ordered.map((steps) => [nameOf(steps), { name: nameOf(steps), steps }]));
  if (named.size <= MAX_CANDIDATES) return [...named.values()];
  throw new BirdboneError(
    'usage',
    `${recipe.steps.length} steps make ${named.size} candidates; at most ${MAX_CANDIDATES} are tried.`,
    {
      suggestions: ['Search with fewer steps, and add the others to what is found.'],
    },
  );
}

/** The step as it is, with less of it, and without it. */
function budgetsOf(step: Step, schemes: readonly string[]): (Step | undefined)[] {
  if (step.do === 'quantize') {
    const at = schemes.indexOf(step.scheme ?? '');
    const beside = at < 0 ? [] : [schemes[at - 1], schemes[at + 1]].filter((scheme) => scheme !== undefined);
    return [step, ...beside.map((scheme): Step => ({ ...step, scheme })), undefined];
  }
  if (step.do === 'factorize') {
    const { ratio } = step;
    return [
      ...(ratio === undefined ? [step] : PARTS.map((part): Step => ({ ...step, ratio: part * ratio }))),
      undefined,
    ];
  }
  // As much healing as the recipe says, or none.
  if (step.do === 'heal') return [step, undefined];
  const { sparsity, adaptive: _, ...fixed } = step;
  // In one wave: what a search measures is what a target costs, and the gate is asked at the end.
  const whole: Step = { ...fixed, ...(sparsity !== undefined && { sparsity }), waves: 1, schedule: 'constant' };
  return [
    ...(sparsity === undefined ? [whole] : PARTS.map((part): Step => ({ ...whole, sparsity: part * sparsity }))),
    undefined,
  ];
}

function ordersOf(steps: readonly Step[]): Step[][] {
  if (steps.length < 2) return [[...steps]];
  return steps.flatMap((first, index) =>
    ordersOf(steps.filter((_, other) => other !== index)).map((rest) => [first, ...rest]),
  );
}

function isAllowed(recipe: Parameters<typeof findingsOf>[0] & Pick<Recipe, 'reference'>): boolean {
  // What is healed first has to be healed towards another model.
  if (recipe.steps[0]?.do === 'heal' && recipe.reference === undefined) return false;
  return findingsOf(recipe).every(({ kind }) => kind !== 'refused');
}

/** The steps in words, with the budgets that tell them apart. */
export function nameOf(steps: readonly Step[]): string {
  return steps.map(stepName).join(' + ');
}

/** One step in words. */
export function stepName(step: Step): string {
  if (step.do === 'quantize') return ['quantize', step.scheme ?? `${step.bitsPerWeight ?? step.sizeBytes}`].join(' ');
  if (step.do === 'factorize') return `factorize ${share(step.ratio) ?? step.rank ?? step.energy}`;
  if (step.do === 'heal') return 'heal';
  const what = step.plates === undefined || step.plates === 'weights' ? '' : `${step.plates} `;
  return `prune ${what}${share(step.sparsity) ?? step.pattern}`;
}

function share(fraction: number | undefined): string | undefined {
  return fraction === undefined ? undefined : `${Number((100 * fraction).toPrecision(4))} %`;
}

function refuseVocabulary({ steps }: Recipe): void {
  if (!steps.some((step) => step.do === 'prune' && step.plates === 'vocabulary')) return;
  throw new BirdboneError(
    'usage',
    'A search compares candidates token by token, and without some of the vocabulary a model has other tokens.',
    { suggestions: ['Shed the vocabulary in a run of its own, and search over its result.'] },
  );
}
