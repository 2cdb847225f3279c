import { type PlateGraph, plateGraph } from '../plates/index.js';
import {
  type Allotment,
  adaptiveAllotment,
  checkTarget,
  type Share,
  targetedAllotment,
  uniformAllotment,
} from '../shedding/index.js';
import type { Edit, EditContext, Proposal } from './edit.js';
import { checkDepth, shedDepth } from './shed-depth.js';
import { checkHidden, hiddenPlan, shedHidden } from './shed-hidden.js';
import { shedPlan } from './shed-plan.js';
import { type ShedRules, type ShedSettings, shedRules, WIDTH_KINDS } from './shed-settings.js';
import { surveyCurves } from './shed-survey.js';
import { shedWidths } from './shed-widths.js';

/** An edit that sheds whole plates: what is published of it is smaller, not just sparse. */
export async function shedEdit(settings: ShedSettings): Promise<Edit> {
  const rules = shedRules(settings);
  if (rules.plates === 'blocks') return depthEdit(rules);
  if (rules.plates === 'hidden') return hiddenEdit(rules);
  return {
    needsCalibration: true,
    target: rules.sparsity,
    check: (model) => checkTarget(model, shareOf(rules, rules.sparsity), rules.shedding),
    plan: (model) => shedPlan(model, rules.compensation),
    propose: (context) => propose(rules, context),
  };
}

function depthEdit(rules: ShedRules): Edit {
  return {
    needsCalibration: true,
    target: rules.sparsity,
    check: (model) => checkDepth(model, rules),
    plan: (model) => shedPlan(model, 'none'),
    propose: async (context) => ({ marks: await shedDepth(rules, context) }),
  };
}

function hiddenEdit(rules: ShedRules): Edit {
  return {
    needsCalibration: true,
    target: rules.sparsity,
    check: (model) => checkHidden(model, rules),
    plan: hiddenPlan,
    propose: async (context) => ({ marks: await shedHidden(rules, context) }),
  };
}

function shareOf({ plates, target }: ShedRules, sparsity: number): Share {
  return { sparsity, kinds: WIDTH_KINDS[plates]!, target };
}

async function propose(rules: ShedRules, context: EditContext): Promise<Proposal> {
  const { compensation, aggressiveness } = rules;
  const allotment = await allotmentOf(rules, plateGraph(context.model.decoder), context);
  return { marks: await shedWidths({ allotment, compensation, aggressiveness }, context) };
}

async function allotmentOf(rules: ShedRules, graph: PlateGraph, context: EditContext): Promise<Allotment> {
  const share = shareOf(rules, context.target);
  if (rules.shedding === 'uniform') return uniformAllotment(graph, share);
  const curves = await surveyCurves({ ...rules, graph, share }, context);
  const allot = rules.shedding === 'targeted' ? targetedAllotment : adaptiveAllotment;
  return allot(graph, context.target, curves);
}
