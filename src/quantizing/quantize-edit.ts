import { elementsOf, type LayerPlan } from '../checkpoint/index.js';
import type { ChunkOfSums } from '../differences/index.js';
import { BirdboneError } from '../errors.js';
import { type LayoutLimits, layouts } from '../layouts/index.js';
import type { Model } from '../model/index.js';
import { type Edit, type EditContext, type Proposal, solverCost } from '../pruning/index.js';
import { openRowRounder } from '../quantization/index.js';
import { assign, schemesBySpec } from './assign.js';
import { formsWithinBudget, type Spent } from './budget/choose-forms.js';
import { encodeBlocks } from './encode-blocks.js';
import { checkFormat, type Format } from './formats.js';
import { describeForm, type MatrixForm, tensorsOf } from './forms.js';
import { type JointRemoval, jointRemoval } from './joint-removal.js';
import { keyValueScales } from './key-value-scales.js';
import { LayerSink, type WrittenMatrix } from './layer-sink.js';
import { changedTensors, quantizeBlocks } from './quantize-blocks.js';
import { quantizedRows } from './quantized-rows.js';
import type { QuantizeRules, Quantizer } from './quantizer.js';
import { quantizers } from './quantizers.js';
import { namedScheme } from './scheme-names.js';
import type { QuantizeSettings } from './settings.js';

/** What a step's flags come to, loaded. */
interface Parts {
  readonly settings: QuantizeSettings;
  readonly format: Format;
  readonly limits: LayoutLimits;
  readonly quantizer: Quantizer;
  readonly joint: JointRemoval | undefined;
}

/**
 * An edit that stores matrices in fewer bits: all at once, so that the gate judges the model that will be published. Its layer holds
 * the native form (src/coding); formats come with publication. Throws `usage` for a scheme, an algorithm or options that there are
 * not, or that do not go together.
 */
export async function quantizeEdit(
  settings: QuantizeSettings,
  format: Format,
  limits: LayoutLimits = {},
): Promise<Edit> {
  if (limits.tensorParallel !== undefined) refuseUndividedFormat(limits.tensorParallel, format);
  const hasBudget = settings.bitsPerWeight !== undefined || settings.sizeBytes !== undefined;
  if (settings.kvCache !== undefined && format !== 'compressed-tensors') throw noPlaceForScales(format);
  if (hasBudget) checkFamily(settings, format);
  else if (settings.scheme === undefined) throw noScheme();
  else namedScheme(settings.scheme, settings);
  const joint = await jointRemoval(settings, format);
  const parts = { settings, format, limits, quantizer: await quantizers.load(settings.algorithm ?? 'rtn'), joint };
  return hasBudget ? budgetEdit(parts) : formsEdit(rememberForms(settings), parts);
}

/** The edit that gives matrices these forms. */
function formsEdit(formsOf: (model: Model) => readonly MatrixForm[], parts: Parts, budget?: Spent): Edit {
  const { settings, format, limits, quantizer, joint } = parts;
  const isBlocks = format === 'gguf';
  const { cost } = quantizer;
  return {
    needsCalibration: (!isBlocks && quantizer.needs === 'text') || settings.kvCache !== undefined,
    target: 1,
    goesBy: 'itself',
    shapes: 'final',
    ...(cost && !isBlocks && { cost: (model, tokens) => solverCost(model, cost, tokens) }),
    async check(model) {
      const forms = formsOf(model);
      await checkFormat(format, forms, { model, layouts, limits });
      return [...noticesOf(forms), ...(joint === undefined ? [] : [NO_SMALLER])];
    },
    plan: (model) => plan(model, formsOf(model), rulesOf(parts, formsOf(model), model)),
    propose: (context) => propose(formsOf(context.model), { ...parts, budget }, context),
  };
}

/** An edit whose forms are chosen when model and text are there; until then it plans for the most that they can take. */
function budgetEdit(parts: Parts): Edit {
  const { settings, format, limits } = parts;
  const most = { ...settings, scheme: format === 'gguf' ? 'q8_0' : 'int8' };
  return {
    ...formsEdit(rememberForms(most), parts),
    async settle(context) {
      const { forms, spent } = await formsWithinBudget(settings, { format, limits }, context);
      await checkFormat(format, forms, { model: context.model, layouts, limits });
      if (spent.reason !== undefined) context.report({ type: 'notice', message: `One form for all: ${spent.reason}` });
      return formsEdit(() => forms, parts, spent);
    },
  };
}

/** With a budget, a scheme says no more than whether integers are chosen or blocks of ggml. */
function checkFamily({ scheme }: QuantizeSettings, format: Format): void {
  if (scheme === undefined) return;
  const named = namedScheme(scheme);
  const isInteger = named.kind === 'scheme' && named.scheme.type === 'int' && named.scheme.activations === undefined;
  if (format === 'gguf' ? named.kind === 'mix' : isInteger) return;
  throw new BirdboneError(
    'usage',
    `A budget chooses among ${format === 'gguf' ? "ggml's blocks" : 'integers'}: --scheme ${scheme} is not allowed with it.`,
    { suggestions: ['Leave --scheme out.'] },
  );
}

function refuseUndividedFormat(tensorParallel: number, format: Format): void {
  if (format !== 'gguf' && format !== 'native') return;
  throw new BirdboneError(
    'usage',
    `--tp ${tensorParallel} has no effect: no engine divides the matrices of a ${format} result over GPUs.`,
    { suggestions: ['Leave it out.', '--format compressed-tensors'] },
  );
}

function noScheme(): BirdboneError {
  return new BirdboneError('usage', 'A quantizing step needs a scheme.', {
    suggestions: [
      '4 bits for most engines: --scheme int4',
      'llama.cpp: --scheme q4_k_m --out FILE.gguf',
      'As good as fits: --bpw 4.5, or --size 4GB',
    ],
  });
}

function noPlaceForScales(format: Format): BirdboneError {
  return new BirdboneError(
    'usage',
    `The format ${format} has no place for the scales of a cache: --kv-cache is not allowed with it.`,
    {
      suggestions: ['--format compressed-tensors'],
    },
  );
}

/** `assign`, once for each model: it is asked by plan, check and proposal, of every wave. */
function rememberForms(settings: QuantizeSettings): (model: Model) => readonly MatrixForm[] {
  const known = new WeakMap<Model, readonly MatrixForm[]>();
  return (model) => {
    const forms = known.get(model) ?? assign(model, settings);
    known.set(model, forms);
    return forms;
  };
}

type HowRounded = Pick<Parts, 'quantizer' | 'settings' | 'joint'>;

function rulesOf(
  { quantizer, settings, joint }: HowRounded,
  forms: readonly MatrixForm[],
  model: Model,
): QuantizeRules {
  const { scale } = settings;
  const options = { ...(scale !== undefined && { search: scale }), ...(joint && { removalOf: joint.of(model) }) };
  return { quantizer, schemeOf: schemesBySpec(forms), options };
}

const NO_SMALLER =
  'Single weights that are removed keep their place in codes: the file is no smaller for it, only easier to compress.';

function plan(model: Model, forms: readonly MatrixForm[], rules: QuantizeRules): LayerPlan {
  const hasSchemes = forms.some(({ form }) => form.kind === 'scheme');
  const changed = hasSchemes ? changedTensors(rules, model) : [];
  return { masks: [], values: [...forms.flatMap(tensorsOf), ...changed] };
}

/** Fallbacks of a mix, each tensor by name, and what stays: said before the work and in the report. */
function noticesOf(forms: readonly MatrixForm[]): string[] {
  return forms.flatMap(({ weight, columns, form }) => {
    if (form.kind !== 'blocks' || form.wanted === undefined) return [];
    return [`${weight} is ${describeForm(form)}: its rows of ${columns} are no whole number of that type's blocks.`];
  });
}

/** How GPTQ runs; its layout writes that down. Where columns stay in their order, scales are fitted on the way. */
const gptqRun = ({ joint }: HowRounded) => {
  return { dampPercent: 0.01, staticGroups: joint?.keepsOrder !== true, trueSequential: true };
};

async function propose(
  forms: readonly MatrixForm[],
  how: HowRounded & { readonly budget: Spent | undefined },
  context: EditContext,
): Promise<Proposal> {
  const { model, writer } = context;
  const { quantizer, settings, budget } = how;
  const written: WrittenMatrix[] = [];
  const differences = new Map<string, readonly ChunkOfSums[]>();
  if (forms.some(({ form }) => form.kind === 'blocks')) written.push(...(await encodeBlocks(forms, context)));
  if (forms.some(({ form }) => form.kind === 'scheme')) {
    const sink = new LayerSink(writer, model, { movesScales: quantizer.changes !== undefined });
    const rounder = openRowRounder();
    try {
      await quantizeBlocks(rulesOf(how, forms, model), { ...context, rounder }, sink);
    } finally {
      await rounder.close();
    }
    written.push(...sink.written);
    for (const [weight, chunks] of sink.differences) differences.set(weight, chunks);
  }
  const removed = written.flatMap(({ weight, removed: part }) => {
    if (part === undefined) return [];
    const elements = elementsOf(model.checkpoint.tensors.get(weight)!.shape);
    return [{ name: weight, elements, removed: Math.round(part * elements) }];
  });
  const kvScales = settings.kvCache === undefined ? [] : await keyValueScales(context);
  return {
    differences,
    ...(removed.length > 0 && { removed }),
    details: {
      quantized: quantizedRows(forms, written, model),
      ...(budget && { budget: [budget] }),
      ...(kvScales.length > 0 && { kvScales }),
      ...(settings.algorithm === 'gptq' && { gptq: [gptqRun(how)] }),
    },
  };
}
