import type { LayerPlan } from '../checkpoint/index.js';
import { chooseRanks, largestUsefulRank, needsSpectrum, type RankChoice, ranksOfShapes } from '../lowrank/index.js';
import type { Model } from '../model/index.js';
import { type Edit, type EditCost, NO_GRAMS, type SettleContext, solverCost } from '../pruning/index.js';
import type { FactorizeContext } from './block-matrices.js';
import { factorizedLinears, factorSinks, layerPlan } from './factor-sink.js';
import { factorizeBlocks } from './factorize-blocks.js';
import { keptRow } from './factorized-rows.js';
import { allFactorizable } from './linears.js';
import { type FactorizeRules, type FactorizeSettings, factorizeRules, ruleForTarget, targetOf } from './settings.js';
import { surveySpectra } from './survey.js';

/** Factors replace weights for good; a product is a dense weight like another, which later steps may change. */
const PLACE = {
  factors: { goesBy: 'itself', shapes: 'final' },
  dense: { goesBy: 'itself' },
} as const satisfies Record<FactorizeRules['format'], Pick<Edit, 'goesBy' | 'shapes'>>;

/**
 * An edit that stores linear weights inside the blocks as two thin factors, or as their product; embeddings, head, norms and
 * routers stay as they are. Ranks that depend on spectra are chosen before each wave, on the model as it then is.
 */
export function factorizeEdit(settings: FactorizeSettings): Edit {
  const rules = factorizeRules(settings);
  return {
    needsCalibration: rules.algorithm === 'whitened',
    target: targetOf(rules.rule),
    ...PLACE[rules.format],
    cost: (model, tokens) => costOf(rules, model, tokens),
    plan: (model) => largestPlan(rules, model),
    settle: (context) => settledEdit({ ...rules, rule: ruleForTarget(rules.rule, context.target) }, context),
    propose: () => {
      throw new Error('a factorizing edit is settled before it proposes');
    },
  };
}

/** Of a Gram matrix's root and the singular values of what it turns a matrix into. */
const WHITENING = {
  perInput: (columns: number) => columns ** 3,
  perMatrix: (rows: number, columns: number) => 4 * rows * columns * Math.min(rows, columns),
};

function costOf({ algorithm }: FactorizeRules, model: Model, tokens: number): EditCost {
  const solving = solverCost(model, WHITENING, tokens);
  if (algorithm === 'svd') return { ...solving, ...NO_GRAMS };
  const widest = shapesOf(model).reduce((most, { columns }) => Math.max(most, columns), 0);
  // The root is on the device as well, for the products by it.
  return { ...solving, gramBytes: solving.gramBytes + 4 * widest ** 2 };
}

/** What a step with these settings would make of every linear of the model as it is, with what each would lose. */
export async function predictFactors(
  settings: FactorizeSettings,
  context: FactorizeContext,
): Promise<readonly RankChoice[]> {
  const rules = factorizeRules(settings);
  return chooseRanks(rules.rule, await surveySpectra(rules, context));
}

/** The rank of every linear: from shapes alone where the rule allows that, else from all spectra of the model as it is. */
async function settledRanks(
  { rule, algorithm }: Pick<FactorizeRules, 'rule' | 'algorithm'>,
  context: FactorizeContext,
): Promise<readonly RankChoice[]> {
  if (!needsSpectrum(rule)) return ranksOfShapes(rule, shapesOf(context.model));
  return chooseRanks(rule, await surveySpectra({ rule, algorithm }, context));
}

async function settledEdit(rules: FactorizeRules, context: SettleContext): Promise<Edit> {
  const { algorithm, format } = rules;
  const choices = await settledRanks(rules, context);
  const ranks = new Map(choices.flatMap(({ name, rank }) => (rank === undefined ? [] : [[name, rank] as const])));
  const linears = factorizedLinears(context.model, ranks);
  return {
    needsCalibration: algorithm === 'whitened',
    target: context.target,
    ...PLACE[format],
    plan: () => layerPlan(factorSinks[format], linears),
    propose: async (proposing) => {
      const work = { algorithm, format, linears, writer: proposing.writer };
      const made = await factorizeBlocks(work, proposing);
      const kept = choices.filter(({ rank }) => rank === undefined);
      const types = context.model.checkpoint.tensors;
      return { details: { factorized: [...made, ...kept.map((each) => keptRow(each, types.get(each.name)!.dtype))] } };
    },
  };
}

/** The most that a layer can hold: the ranks that shapes say, or of every linear the largest that serves it. */
function largestPlan({ rule, format }: FactorizeRules, model: Model): LayerPlan {
  const shapes = shapesOf(model);
  const ranks = needsSpectrum(rule)
    ? shapes.map((shape) => [shape.name, largestUsefulRank(shape)] as const)
    : ranksOfShapes(rule, shapes).map(({ name, rank }) => [name, rank ?? 0] as const);
  return layerPlan(factorSinks[format], factorizedLinears(model, new Map(ranks)));
}

function shapesOf(model: Model) {
  return allFactorizable(model).map(({ weight: name, rows, columns }) => ({ name, rows, columns }));
}
