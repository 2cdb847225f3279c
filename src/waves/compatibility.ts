import { BirdboneError } from '../errors.js';
import { outputFormat, type PruneStep, type Recipe, type Step } from '../recipe.js';

/** A step and one that comes after it. */
interface Pair {
  readonly before: Step;
  readonly after: Step;
  readonly recipe: Pick<Recipe, 'out' | 'output'>;
}

/** What two techniques do to each other. */
export interface Finding {
  readonly rule: string;
  /** Refused before any work, or only told. */
  readonly kind: 'refused' | 'told';
  readonly reason: string;
  readonly suggestion: string;
}

type Rule = (pair: Pair) => Omit<Finding, 'rule'> | undefined;

const refused = (reason: string, suggestion: string) => ({ kind: 'refused', reason, suggestion }) as const;
const told = (reason: string, suggestion: string) => ({ kind: 'told', reason, suggestion }) as const;

/** Engines whose kernels want whole groups of columns. */
const GROUPED = ['compressed-tensors', 'gptq', 'awq'];

/** Which techniques go after which, and why not. A new kind of step is asked of every rule here. */
const RULES: Readonly<Record<string, Rule>> = {
  'codes are final': ({ before, after }) =>
    before.do === 'quantize' && after.do !== 'quantize'
      ? refused(
          `${nameOf(after)} after ${nameOf(before)} would work on rounded weights and have them rounded again: scales and codes are chosen for the weights that were there`,
          `Put the step "quantize" behind "${after.do}".`,
        )
      : undefined,
  'rounded once': ({ before, after }) =>
    before.do === 'quantize' && after.do === 'quantize'
      ? refused(
          'a second quantize would round what the first has rounded: the errors of both add up, and the file has the bits of the second alone',
          'Keep one of them; other schemes for some matrices are its field "keep".',
        )
      : undefined,
  'factors are not healed': ({ before, after }) =>
    isFactors(before) && after.do === 'heal'
      ? refused(
          'heal gives a weight new values, and a product that is stored as two factors would become a whole matrix again',
          'Put "heal" before "factorize", or fuse the factors: "format": "dense".',
        )
      : undefined,
  'factors are final': ({ before, after }) =>
    isFactors(before) && after.do !== 'quantize' && after.do !== 'heal'
      ? refused(
          `${nameOf(after)} after ${nameOf(before)} would change a product that is stored as two factors: what it removes of the product makes neither factor smaller`,
          `Put "${after.do}" before "factorize", or fuse the factors: "format": "dense".`,
        )
      : undefined,
  'factors stay floats': ({ before, after }) =>
    isFactors(before) && after.do === 'quantize'
      ? refused(
          'quantize stores one matrix of codes for each weight, and would put the product in place of its two factors: the parameters that factorize saved would be back',
          'Fuse the factors before: "format": "dense"; or leave one of the two out.',
        )
      : undefined,
  'low rank is lost in codes': ({ before, after }) =>
    before.do === 'factorize' && before.format === 'dense' && after.do === 'quantize'
      ? told(
          'codes of a matrix of low rank are as large as those of any other: factorize costs accuracy here and saves no byte',
          'Leave factorize out, or keep its factors and leave quantize out.',
        )
      : undefined,
  'low rank fills zeros': ({ before, after }) =>
    isOfWeights(before) && after.do === 'factorize'
      ? refused(
          'a matrix of low rank has no zeros: what prune has removed would come back as small numbers',
          'Put factorize first with "format": "dense", or shed whole plates: "plates": "ffn".',
        )
      : undefined,
  'tokens keep their numbers': ({ before, after }) =>
    isPrune(before) && before.plates === 'vocabulary' && isFinal(after)
      ? refused(
          `${nameOf(after)} measures the model as it was cut, whose tokens would have other numbers than those of the dense model that it is compared with`,
          'Shed the vocabulary in a run of its own first, and use its result as the model here.',
        )
      : undefined,
  'zeros cost bits': ({ before, after }) =>
    isOfWeights(before) && after.do === 'quantize'
      ? told(
          'single weights that are removed keep their place in codes: they make a quantized file no smaller, only easier to compress',
          'To make it smaller, shed whole plates: "plates": "ffn".',
        )
      : undefined,
  'whole groups': ({ before, after, recipe }) => {
    const format = outputFormat(recipe);
    const isCut = isPrune(before) && ['ffn', 'heads', 'hidden', 'auto'].includes(before.plates ?? '');
    if (!isCut || after.do !== 'quantize') return undefined;
    const target = before.target ?? 'hf';
    if (GROUPED.includes(format) && target !== 'vllm') {
      return refused(
        `widths cut for ${target} may be no whole number of groups of columns, and the layout ${format} has no place for a part of one`,
        'Cut in steps that its kernels take: "target": "vllm".',
      );
    }
    if (format !== 'gguf' || target === 'llama.cpp') return undefined;
    return told(
      `widths cut for ${target} are mostly no multiple of 256, and rows of other lengths fall back to types with more bits`,
      'Cut in steps of whole blocks: "target": "llama.cpp".',
    );
  },
};

/**
 * What the steps of a recipe do to each other, each pair of steps against each rule, in order. Pure; knows of the recipe alone.
 */
export function findingsOf(recipe: Pick<Recipe, 'out' | 'output' | 'steps'>): Finding[] {
  const found: Finding[] = [];
  for (const [index, before] of recipe.steps.entries()) {
    for (const after of recipe.steps.slice(index + 1)) {
      for (const [rule, check] of Object.entries(RULES)) {
        const finding = check({ before, after, recipe });
        if (finding !== undefined) found.push({ rule, ...finding });
      }
    }
  }
  return found;
}

/** What should be known of a recipe's order, a sentence each. Throws `usage`, with the reason, for steps that do not go together. */
export function compatibilityNotices(recipe: Pick<Recipe, 'out' | 'output' | 'steps'>): string[] {
  const found = findingsOf(recipe);
  const worst = found.find(({ kind }) => kind === 'refused');
  if (worst !== undefined) {
    throw new BirdboneError('usage', `These steps do not go together (${worst.rule}): ${worst.reason}.`, {
      suggestions: [worst.suggestion],
    });
  }
  return [...new Set(found.map(({ reason, suggestion }) => `${capitalized(reason)}. ${suggestion}`))];
}

function nameOf(step: Step): string {
  return isPrune(step) && step.plates !== undefined ? `prune of ${step.plates}` : step.do;
}

function isPrune(step: Step): step is PruneStep {
  return step.do === 'prune';
}

/** Whether single weights go, and no plates. */
function isOfWeights(step: Step): boolean {
  return isPrune(step) && (step.plates === undefined || step.plates === 'weights');
}

function isFactors(step: Step): boolean {
  return step.do === 'factorize' && step.format !== 'dense';
}

/** Whether a step works on the model as it was cut. */
function isFinal(step: Step): boolean {
  return step.do === 'quantize' || isFactors(step);
}

function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
