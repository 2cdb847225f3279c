import { tmpdir } from 'node:os';
import { compareScores, type PassageScore, scorePassages, summarize } from '../src/evaluation/index.js';
import { type Model, withCheckpoint } from '../src/model/index.js';
import { assign } from '../src/quantizing/assign.js';
import type { Spent } from '../src/quantizing/budget/choose-forms.js';
import { publishedBytes } from '../src/quantizing/budget/published-bytes.js';
import { bitsPerWeight } from '../src/quantizing/forms.js';
import { type QuantizedRow, type QuantizeSettings, quantizeEdit } from '../src/quantizing/index.js';
import { proposeLayer } from '../test/fixtures/proposed-layer.js';
import { type ComparedModel, compareEach, options } from './compared-models.js';
import { rows, type Side, writePage } from './mixed-results.js';
import { PAIRS, type Pair } from './mixed-rows.js';
import { describeCommit } from './pruning-table.js';

/**
 * Holds a budget divided over a model's matrices against one scheme for all of them at the same size, by perplexity on the same text,
 * with paired intervals. Rows are kept one by one in docs/results/mixed.json, and docs/mixed-table.md is made of all of them. Fails
 * when a budget is exceeded or more than 1 % of it is left unused.
 *
 *   npm run compare:mixed -- [--only TEXT]… [--missing] [--render] [--model NAME] [--windows N]
 */

const MOST_UNUSED = 0.01;

/** A model as it was stored, with what it came to. */
interface Stored {
  readonly size: number;
  readonly scores: readonly PassageScore[];
  readonly details: Readonly<Record<string, readonly object[]>>;
}

async function comparePair(pair: Pair, work: ComparedModel): Promise<void> {
  const before = process.cpuUsage();
  const uniform = await store(pair.uniform, pair, work);
  const { scheme: _, groupSize: __, asymmetric: ___, ...rest } = pair.uniform;
  const asked = pair.bySize ? { sizeBytes: uniform.size } : { bitsPerWeight: uniform.size };
  const budget = await store({ ...rest, ...asked }, pair, work);
  const compared = compareScores(uniform.scores, budget.scores, { seed: 0 });
  const interval = compared.intervals.perplexityRatio;
  if (interval === undefined) throw new Error(`${pair.name}: no interval`);
  const { user, system } = process.cpuUsage(before);
  const { perplexityRatio: ratio } = compared;
  rows.keep({
    name: pair.name,
    model: options.model,
    windows: work.passages.length,
    bySize: pair.bySize === true,
    uniform: sideOf(uniform),
    budget: sideOf(budget),
    ratio,
    interval,
    forms: formsOf(budget),
    device: work.device.description,
    date: new Date().toISOString().slice(0, 10),
    commit: await describeCommit(),
    processorSeconds: Math.round((user + system) / 1e6),
  });
  console.error(`${pair.name}: ${ratio.toFixed(4)} (${interval.map((end) => end.toFixed(4)).join(' to ')})`);
  const unused = 1 - budget.size / uniform.size;
  if (unused >= 0 && unused <= MOST_UNUSED) return;
  console.error(`FAILED ${pair.name}: ${(100 * unused).toFixed(2)} % of the budget is unused`);
  process.exitCode = 1;
}

/** Quantizes, and measures what was stored. */
async function store(settings: QuantizeSettings, pair: Pair, work: ComparedModel): Promise<Stored> {
  const { format, bySize } = pair;
  const { model, device, calibration, passages } = work;
  const { view, proposal } = await proposeLayer(await quantizeEdit(settings, format), model, { device, calibration });
  const read = { device, memoryBytes: 2 ** 30, spillFolder: tmpdir() };
  const { scores } = await scorePassages(withCheckpoint(model, view), passages, read);
  const { details = {} } = proposal;
  const [spent] = (details['budget'] ?? []) as readonly Spent[];
  if (spent === undefined) return { size: await uniformSize(settings, pair, model), scores, details };
  return { size: bySize ? spent.published!.bytes : (8 * spent.bytes) / spent.weights, scores, details };
}

/** What one scheme for all takes. */
async function uniformSize(settings: QuantizeSettings, { format, bySize }: Pair, model: Model): Promise<number> {
  const forms = assign(model, settings);
  if (bySize) return publishedBytes(model, forms, { format, hasCacheScales: false });
  const open = forms.filter(({ form }) => form.kind !== 'dense');
  const weights = open.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  return open.reduce((sum, matrix) => sum + matrix.rows * matrix.columns * bitsPerWeight(matrix, 0), 0) / weights;
}

function sideOf({ size, scores }: Stored): Side {
  return { size, perplexity: summarize(scores, { seed: 0 }).perplexity };
}

function formsOf({ details }: Stored): Record<string, number> {
  const forms: Record<string, number> = {};
  for (const { form, bits } of details['quantized'] as readonly QuantizedRow[]) {
    if (bits <= 16) forms[form] = (forms[form] ?? 0) + 1;
  }
  return forms;
}

await compareEach(PAIRS, rows.read, comparePair);
writePage();
