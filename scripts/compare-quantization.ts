import { writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Passage, readCalibration, readPassages } from '../src/corpus/index.js';
import { scorePassages } from '../src/evaluation/index.js';
import { loadTokenizer, type Model, openModel } from '../src/model/index.js';
import { schemeOf, toParts } from '../src/quantization/index.js';
import { type Device, openDevice } from '../src/tensor/index.js';
import { type LinearName, loadReferenceModel, type ReferenceModel, readWindows } from '../test/reference/load.js';
import { scoreIntegers } from '../test/reference/quantization/integer-forward.js';
import { type OurQuantized, quantizeOurs } from '../test/reference/quantization/our-quantization.js';
import { quantizeReference, type RoundedBlock } from '../test/reference/quantization/quantize-reference.js';
import { evaluateReference } from '../test/reference/reference.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';
import { plantOutliers, plantReferenceOutliers } from './plant-outliers.js';
import { describeCommit } from './pruning-table.js';
import { keepResult, type Result, readResults, referenceSource, type Side } from './quantization-results.js';
import {
  CALIBRATION_WINDOWS,
  COMPARED_WINDOWS,
  CONTEXT,
  DATA,
  MODEL,
  VARIANTS,
  type Variant,
} from './quantization-rows.js';
import { renderTable } from './quantization-table.js';

/**
 * Quantizes a real checkpoint with the product and with the independent float64 implementation in test/reference/quantization, and
 * measures both on the same text. Figures go into docs/results/quantization.json row by row, and docs/quantization-table.md is made
 * of all of them: the table can be completed in pieces. What the reference found is used again as long as its code is the same.
 * Fails when a difference is above its limit, or when a better method does worse.
 *
 *   npm run compare:quantization -- [--only TEXT]… [--missing] [--ours] [--fresh] [--render] [--device webgpu]
 */

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    missing: { type: 'boolean', default: false },
    ours: { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    device: { type: 'string', default: 'cpu' },
  },
});
let results = readResults();

interface Work {
  readonly folder: string;
  readonly device: Device;
  readonly commit: string;
  readonly calibration: readonly Passage[];
  readonly passages: readonly Passage[];
}

async function compareAll(): Promise<void> {
  if (sharedMissing !== undefined) throw new Error(`nothing to compare on: ${sharedMissing}`);
  const folder = sharedModel(MODEL);
  const device = await openDevice(options.device as 'cpu' | 'webgpu');
  const tokenizer = await loadTokenizer(folder);
  const limits = { context: CONTEXT, maxContext: 512 };
  const text = { ...limits, windows: CALIBRATION_WINDOWS };
  const { passages: calibration } = await readCalibration(sharedData(DATA, 'calibration.txt'), tokenizer, text);
  const evaluation = { ...limits, protocol: 'windows' as const };
  const { passages } = await readPassages(sharedData(DATA, 'eval.txt'), tokenizer, evaluation);
  const work: Work = { folder, device, commit: await describeCommit(), calibration, passages };
  for (const variant of VARIANTS) {
    if (!options.only.every((part) => variant.name.includes(part))) continue;
    if (options.missing && isWhole(variant)) continue;
    await compare(work, variant);
  }
  await device.close();
}

function isWhole({ name, reference }: Variant): boolean {
  const found = results.find((each) => each.name === name);
  return found !== undefined && (reference === undefined || options.ours || found.reference !== undefined);
}

async function compare(work: Work, variant: Variant): Promise<void> {
  const opened = await openModel(work.folder);
  const dense = variant.outliers ? await plantOutliers(opened) : opened;
  const start = performance.now();
  const quantized = variant.algorithm === undefined ? undefined : await quantize(dense, variant, work);
  const seconds = (performance.now() - start) / 1000;
  const measured = await measure(dense, quantized?.model, work);
  const before = results.find(({ name }) => name === variant.name);
  const theirs = await referenceOf(variant, { work, quantized, before });
  const bitsPerWeight = quantized && meanBits(quantized);
  const result: Result = {
    name: variant.name,
    model: MODEL,
    comparedWindows: COMPARED_WINDOWS,
    ours: {
      ...side(work, measured.compared, seconds),
      device: work.device.description,
      perplexity: measured.perplexity,
      ...(measured.kl !== undefined && { kl: measured.kl }),
      ...(bitsPerWeight !== undefined && { bitsPerWeight }),
    },
    ...theirs,
  };
  results = keepResult(result);
  const { compared } = measured;
  const against = theirs.reference ? ` (${compared.toFixed(4)} against ${theirs.reference.compared.toFixed(4)})` : '';
  console.error(`${variant.name}: ${measured.perplexity.toFixed(4)}${against}`);
  await opened.checkpoint.close();
}

function side({ commit }: Work, compared: number, seconds: number): Side {
  return { compared, date: new Date().toISOString().slice(0, 10), commit, seconds: Math.round(seconds) };
}

function quantize(model: Model, variant: Variant, { calibration, device }: Work): Promise<OurQuantized> {
  const { algorithm, scheme, schemeOptions, options: chosen } = variant;
  return quantizeOurs(model, {
    algorithm: algorithm!,
    scheme: schemeOf(scheme!, schemeOptions),
    ...(chosen && { options: chosen }),
    calibration,
    device,
  });
}

/** Bits that the quantized matrices take for a weight, scales and zero points included. */
function meanBits({ matrices }: OurQuantized): number {
  let [bytes, weights] = [0, 0];
  for (const matrix of matrices.values()) {
    for (const part of toParts(matrix).parts.values()) bytes += part.bytes.length;
    weights += matrix.rows * matrix.columns;
  }
  return (8 * bytes) / weights;
}

async function measure(dense: Model, quantized: Model | undefined, { passages, device }: Work) {
  const base = quantized && { base: dense };
  const settings = { device, memoryBytes: 2 ** 30, spillFolder: tmpdir(), ...base };
  const { scores, comparisons } = await scorePassages(quantized ?? dense, passages, settings);
  const divergence = comparisons?.reduce((sum, each) => sum + each.divergence, 0);
  const tokens = scores.reduce((sum, score) => sum + score.tokens, 0);
  const losses = scores.map(({ tokens: count, negativeLogLikelihood: loss }) => ({ tokens: count, loss }));
  return {
    perplexity: perplexity(losses),
    compared: perplexity(losses.slice(0, COMPARED_WINDOWS)),
    kl: divergence === undefined ? undefined : divergence / tokens,
  };
}

function perplexity(scores: readonly { readonly tokens: number; readonly loss: number }[]): number {
  const tokens = scores.reduce((sum, score) => sum + score.tokens, 0);
  return Math.exp(scores.reduce((sum, { loss }) => sum + loss, 0) / tokens);
}

interface Against {
  readonly work: Work;
  readonly quantized: OurQuantized | undefined;
  readonly before: Result | undefined;
}

/** The reference's side: used again, made, or absent. */
async function referenceOf(
  variant: Variant,
  { work, quantized, before }: Against,
): Promise<Pick<Result, 'reference' | 'differing'>> {
  const kept = before && {
    ...(before.reference && { reference: before.reference }),
    ...(before.differing !== undefined && { differing: before.differing }),
  };
  if (options.ours) return kept ?? {};
  if (variant.reference === undefined && variant.algorithm !== undefined) return {};
  const source = referenceSource();
  if (!options.fresh && before?.reference?.source === source) return kept!;
  const start = performance.now();
  const model = loadReferenceModel(work.folder);
  if (variant.outliers) plantReferenceOutliers(model);
  const rounded = await roundReference(model, variant, work);
  const scored = readWindows(work.folder, sharedData(DATA, 'eval.txt'), CONTEXT, COMPARED_WINDOWS);
  const compared = await perplexityOf(model, variant, scored, rounded);
  const reference = { ...side(work, compared, (performance.now() - start) / 1000), source };
  return quantized === undefined ? { reference } : { reference, differing: differingShare(quantized, rounded) };
}

async function roundReference(model: ReferenceModel, variant: Variant, { folder }: Work): Promise<RoundedBlock[]> {
  const rounded: RoundedBlock[] = [];
  if (variant.reference === undefined) return rounded;
  const { bits, groupSize } = schemeOf(variant.scheme!, variant.schemeOptions);
  await quantizeReference(model, {
    algorithm: variant.reference,
    scheme: { bits, ...(groupSize && { group: groupSize }) },
    windows: readWindows(folder, sharedData(DATA, 'calibration.txt'), CONTEXT, CALIBRATION_WINDOWS),
    threads: availableParallelism(),
    onBlock: (_, block) => void rounded.push(block),
  });
  return rounded;
}

async function perplexityOf(
  model: ReferenceModel,
  variant: Variant,
  windows: readonly Int32Array[],
  rounded: readonly RoundedBlock[],
): Promise<number> {
  if (variant.scheme !== 'w8a8') return (await evaluateReference(model, windows, availableParallelism())).perplexity;
  return perplexity(windows.map((ids) => scoreIntegers(model, rounded, ids)));
}

/** The share of all integers that the two sides have different. */
function differingShare({ model, matrices }: OurQuantized, rounded: readonly RoundedBlock[]): number {
  let [differing, total] = [0, 0];
  for (const block of model.decoder.blocks) {
    for (const { role, weight } of block.linears) {
      const { codes, scheme } = matrices.get(weight)!;
      const expected = rounded[block.index]![role as LinearName].codes;
      const center = 2 ** (scheme.bits - 1);
      for (let i = 0; i < codes.length; i++) if (codes[i]! - center !== expected[i]) differing += 1;
      total += codes.length;
    }
  }
  return differing / total;
}

if (!options.render) await compareAll();
const { markdown, failures } = renderTable(results);
await writeFile(fileURLToPath(new URL('../docs/quantization-table.md', import.meta.url)), markdown);
for (const failure of failures) console.error(`FAILED ${failure}`);
if (failures.length > 0) process.exitCode = 1;
