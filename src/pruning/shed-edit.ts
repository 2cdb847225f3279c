import { memoryLayer, overlay } from '../checkpoint/index.js';
import { type Model, withCheckpoint } from '../model/index.js';
import { type PlateGraph, plateGraph } from '../plates/index.js';
import {
  type Allotment,
  adaptiveAllotment,
  checkTarget,
  type Share,
  targetedAllotment,
  uniformAllotment,
} from '../shedding/index.js';
import { channelThresholds, checkChannelThresholds } from './channel-thresholds.js';
import type { Edit, EditContext, Proposal } from './edit.js';
import { checkDepth, shedDepth } from './shed-depth.js';
import { checkExperts, expertsPlan, shedExperts } from './shed-experts.js';
import { checkHidden, hiddenPlan, shedHidden } from './shed-hidden.js';
import { replacedTensors, shedPlan, type WidthRules } from './shed-plan.js';
import { type ShedRules, type ShedSettings, shedRules, WIDTH_KINDS } from './shed-settings.js';
import { surveyCurves } from './shed-survey.js';
import { shedWidths } from './shed-widths.js';
import { solverCost } from './solver-cost.js';

/** An edit that sheds whole plates: what is published of it is smaller, not just sparse. */
export async function shedEdit(settings: ShedSettings): Promise<Edit> {
  const rules = shedRules(settings);
  if (rules.clusterThresholds !== undefined) checkChannelThresholds(rules);
  if (rules.plates === 'blocks') return depthEdit(rules);
  if (rules.plates === 'hidden') return hiddenEdit(rules);
  if (rules.plates === 'experts') return expertsEdit(rules);
  return {
    needsCalibration: true,
    target: rules.sparsity,
    check: (model) => checkTarget(withBiases(model, widthRules(rules)), shareOf(rules, rules.sparsity), rules.shedding),
    // An upper bound: only the inputs of what reads heads and channels are folded.
    cost: (model, tokens) => solverCost(model, FOLDING, tokens),
    plan: (model) => shedPlan(model, widthRules(rules)),
    propose: (context) => propose(rules, context),
  };
}

/** Of a factorization of an input's Gram matrix, and of a matrix's columns by it. */
const FOLDING = {
  perInput: (columns: number) => columns ** 3,
  perMatrix: (rows: number, columns: number) => 2 * rows * columns ** 2,
};

function widthRules({ plates, compensation }: ShedRules): WidthRules {
  return { kinds: WIDTH_KINDS[plates]!, compensation };
}

/** The model with the biases that a run would add to it, all zero: what is to be published must be able to have them. */
function withBiases(model: Model, rules: WidthRules): Model {
  const { checkpoint, decoder } = model;
  if (rules.compensation !== 'flap') return model;
  const graph = plateGraph(decoder);
  const infos = decoder.blocks.flatMap(({ index }) => [...replacedTensors(graph, checkpoint, index, rules).values()]);
  const added = infos.filter(({ name }) => !checkpoint.tensors.has(name));
  const zeros = added.map((info) => [info.name, { info, bytes: new Uint8Array(info.byteLength) }] as const);
  return withCheckpoint(model, overlay(checkpoint, [memoryLayer(new Map(), new Map(), new Map(zeros))]));
}

function depthEdit(rules: ShedRules): Edit {
  return {
    needsCalibration: true,
    target: rules.sparsity,
    check: (model) => checkDepth(model, rules),
    plan: (model) => shedPlan(model, { kinds: [], compensation: 'none' }),
    propose: (context) => shedDepth(rules, context),
  };
}

function hiddenEdit(rules: ShedRules): Edit {
  return {
    needsCalibration: true,
    target: rules.sparsity,
    check: (model) => checkHidden(model, rules),
    plan: hiddenPlan,
    propose: (context) => shedHidden(rules, context),
  };
}

function expertsEdit(rules: ShedRules): Edit {
  return {
    needsCalibration: true,
    target: rules.sparsity,
    check: (model) => checkExperts(model, rules),
    plan: expertsPlan,
    propose: shedExperts,
  };
}

function shareOf({ plates, target }: ShedRules, sparsity: number): Share {
  return { sparsity, kinds: WIDTH_KINDS[plates]!, target };
}

async function propose(rules: ShedRules, context: EditContext): Promise<Proposal> {
  const graph = plateGraph(context.model.decoder);
  const allotment = await allotmentOf(rules, graph, context);
  const { aggressiveness, clusterThresholds } = rules;
  const widths = { ...widthRules(rules), allotment, aggressiveness };
  if (clusterThresholds === undefined) return shedWidths(widths, context);
  const { quotas, details } = await channelThresholds({ ...rules, clusterThresholds }, { graph, allotment }, context);
  return { ...(await shedWidths({ ...widths, quotas }, context)), details };
}

async function allotmentOf(rules: ShedRules, graph: PlateGraph, context: EditContext): Promise<Allotment> {
  const share = shareOf(rules, context.target);
  if (rules.shedding === 'uniform') return uniformAllotment(graph, share);
  const curves = await surveyCurves({ ...rules, graph, share }, context);
  const allot = rules.shedding === 'targeted' ? targetedAllotment : adaptiveAllotment;
  return allot(graph, context.target, curves);
}
