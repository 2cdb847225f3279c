import { writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readCalibration, readPassages } from '../src/corpus/index.js';
import { scorePassages, summarize } from '../src/evaluation/index.js';
import { loadTokenizer, type Model, openModel } from '../src/model/index.js';
import { type Device, openDevice } from '../src/tensor/index.js';
import { loadReferenceModel, readDocuments, readWindows } from '../test/reference/load.js';
import { pruneOurs } from '../test/reference/our-pruning.js';
import type { Method } from '../test/reference/pruning.js';
import { evaluateReference, type PrunedBlock, pruneReference } from '../test/reference/reference.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';
import { type Comparison, describeCommit, type Figures, publishedOf, renderTable } from './pruning-table.js';

/**
 * Prunes the real checkpoints with the product and with the independent float64 implementation in test/reference, measures
 * both on the same text, and writes docs/pruning-table.md. Fails when a difference is above its limit.
 *
 *   npm run compare:pruning -- [--models tinystories-656k,…] [--windows N] [--device webgpu] [--out FILE]
 */

/** Text of each checkpoint, and the evaluation windows that both sides score: the float64 side sets the pace. */
const CASES = [
  { model: 'tinystories-656k', data: 'tinystories-1000', windows: Number.POSITIVE_INFINITY },
  { model: 'stories260k', data: 'tinystories-1000', windows: Number.POSITIVE_INFINITY },
  { model: 'novels-5m', data: 'novels', windows: 128 },
];
type Case = (typeof CASES)[number];

const VARIANTS: readonly { readonly method?: Method; readonly pattern: string }[] = [
  { pattern: 'dense' },
  ...['50%', '2:4', '4:8'].flatMap((pattern) => [
    { method: 'magnitude' as const, pattern },
    { method: 'wanda' as const, pattern },
  ]),
];
type Variant = (typeof VARIANTS)[number];

const CONTEXT = 256;
const DOCUMENT_CONTEXT = 512;
const CALIBRATION_WINDOWS = 128;

interface Work {
  readonly at: Case;
  readonly folder: string;
  readonly device: Device;
  readonly threads: number;
}

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: CASES.map((each) => each.model).join(',') },
    windows: { type: 'string' },
    device: { type: 'string', default: 'cpu' },
    out: { type: 'string' },
  },
});
if (sharedMissing !== undefined) throw new Error(`nothing to compare on: ${sharedMissing}`);
const commit = await describeCommit();
const device = await openDevice(options.device as 'cpu' | 'webgpu');
const chosen = CASES.filter((each) => options.models.split(',').includes(each.model));
const comparisons: Comparison[] = [];
for (const each of chosen) {
  const at = options.windows === undefined ? each : { ...each, windows: Number(options.windows) };
  const work = { at, folder: sharedModel(at.model), device, threads: availableParallelism() };
  for (const variant of VARIANTS) comparisons.push(...(await compare(work, variant)));
}
const { markdown, failures } = renderTable(comparisons, { commit, device: device.description });
await device.close();
const complete = chosen.length === CASES.length && options.windows === undefined;
const out = options.out ?? (complete ? fileURLToPath(new URL('../docs/pruning-table.md', import.meta.url)) : undefined);
if (out === undefined) console.log(markdown);
else await writeFile(path.resolve(out), markdown);
for (const failure of failures) console.error(`FAILED ${failure}`);
if (failures.length > 0) process.exitCode = 1;

/** One variant of one checkpoint by both sides, under every protocol that applies. */
async function compare(work: Work, variant: Variant): Promise<Comparison[]> {
  const ours = await openOurs(work, variant);
  const reference = await makeReference(work, variant);
  const { at, folder, threads } = work;
  const results: Comparison[] = [];
  for (const protocol of ['B', 'A']) {
    const row = { ...variant, model: at.model, protocol };
    const published = publishedOf(row) !== undefined;
    // Protocol A is there for the figures that were published by it.
    if (protocol === 'A' && !published) continue;
    const passages =
      protocol === 'A'
        ? readDocuments(folder, sharedData(at.data, 'eval.jsonl'), DOCUMENT_CONTEXT).slice(0, at.windows)
        : readWindows(folder, sharedData(at.data, 'eval.txt'), CONTEXT, at.windows);
    const whole = published && Number.isFinite(at.windows);
    const comparison: Comparison = {
      ...row,
      passages: passages.length,
      ours: await measureOurs(ours.model, work, { protocol, windows: at.windows }),
      ...(whole && { whole: await measureOurs(ours.model, work, { protocol }) }),
      reference: await evaluateReference(reference.model, passages, threads),
      differing: variant.method === undefined ? undefined : differingShare(ours, reference.blocks),
    };
    results.push(comparison);
    console.error(
      `${at.model} ${protocol} ${variant.method ?? ''} ${variant.pattern}: ` +
        `${comparison.ours.perplexity.toFixed(4)} against ${comparison.reference.perplexity.toFixed(4)}`,
    );
  }
  await ours.model.checkpoint.close();
  return results;
}

async function openOurs({ at, folder, device }: Work, { method, pattern }: Variant) {
  const model = await openModel(folder);
  if (method === undefined) return { model, masks: new Map<string, Uint8Array>() };
  const tokenizer = await loadTokenizer(folder);
  const text = { windows: CALIBRATION_WINDOWS, context: CONTEXT, maxContext: model.decoder.maxContext };
  const { passages } = await readCalibration(sharedData(at.data, 'calibration.txt'), tokenizer, text);
  return pruneOurs(model, { method, pattern, calibration: passages, device });
}

async function makeReference({ at, folder, threads }: Work, { method, pattern }: Variant) {
  const model = loadReferenceModel(folder);
  const blocks: PrunedBlock[] = [];
  if (method !== undefined) {
    const windows = readWindows(folder, sharedData(at.data, 'calibration.txt'), CONTEXT, CALIBRATION_WINDOWS);
    const onBlock = (_: number, block: PrunedBlock) => blocks.push(block);
    await pruneReference(model, { method, pattern, windows, threads, onBlock });
  }
  return { model, blocks };
}

async function measureOurs(
  model: Model,
  { at, folder, device }: Work,
  { protocol, windows = Number.POSITIVE_INFINITY }: { protocol: string; windows?: number },
): Promise<Figures> {
  const text =
    protocol === 'A'
      ? { file: 'eval.jsonl', protocol: 'documents' as const, context: DOCUMENT_CONTEXT }
      : { file: 'eval.txt', protocol: 'windows' as const, context: CONTEXT };
  const limit = Number.isFinite(windows) ? { limit: windows } : {};
  const { passages } = await readPassages(sharedData(at.data, text.file), await loadTokenizer(folder), {
    ...text,
    ...limit,
    maxContext: model.decoder.maxContext,
  });
  const spill = { memoryBytes: 2 ** 30, spillFolder: tmpdir() };
  const { scores } = await scorePassages(model, passages, { device, ...spill });
  return summarize(scores, { seed: 0 });
}

/** The share of all pruned matrices' weights that one side keeps and the other removes. */
function differingShare(
  ours: { readonly model: Model; readonly masks: ReadonlyMap<string, Uint8Array> },
  blocks: readonly PrunedBlock[],
): number {
  let differing = 0;
  let total = 0;
  for (const block of ours.model.decoder.blocks) {
    for (const { role, weight } of block.linears) {
      const { keep } = blocks[block.index]![role as keyof PrunedBlock];
      const bits = ours.masks.get(weight)!;
      for (let i = 0; i < keep.length; i++) if (((bits[i >>> 3]! >>> (i & 7)) & 1) !== keep[i]) differing += 1;
      total += keep.length;
    }
  }
  return differing / total;
}
