import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readCalibration, readPassages } from '../src/corpus/index.js';
import { scorePassages, summarize } from '../src/evaluation/index.js';
import { loadTokenizer, type Model, openModel } from '../src/model/index.js';
import { type Device, openDevice } from '../src/tensor/index.js';
import { loadReferenceModel, readDocuments, readWindows } from '../test/reference/load.js';
import { pruneOurs } from '../test/reference/our-pruning.js';
import { hasReference } from '../test/reference/pruning.js';
import { evaluateReference, type PrunedBlock, pruneReference } from '../test/reference/reference.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';
import {
  type Comparison,
  type Figures,
  keepResult,
  type Made,
  type Row,
  readResults,
  referenceSource,
  resultOf,
} from './pruning-results.js';
import { describeCommit, publishedOf, renderTable } from './pruning-table.js';
import { CALIBRATION_WINDOWS, CASES, type Case, CONTEXT, VARIANTS, type Variant } from './pruning-variants.js';

/**
 * Prunes the real checkpoints with the product and with the independent float64 implementation in test/reference, and measures
 * both on the same text. Figures go into docs/results/pruning.json row by row, and docs/pruning-table.md is made of all of
 * them: the table can be completed in pieces. What the reference found is used again as long as its code is the same. Fails
 * when a difference is above its limit, or when a better method does worse.
 *
 *   npm run compare:pruning -- [--only TEXT]… [--missing] [--ours] [--fresh] [--render] [--device webgpu]
 *
 * `--only` takes rows whose "model method pattern" contains the text; all texts must be in it. `--missing` takes those that
 * lack a side, `--ours` makes the product's side only, `--fresh` the reference's anew.
 */

const DOCUMENT_CONTEXT = 512;

interface Work {
  readonly at: Case;
  readonly folder: string;
  readonly device: Device;
  readonly commit: string;
}

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    fresh: { type: 'boolean', default: false },
    ours: { type: 'boolean', default: false },
    missing: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    device: { type: 'string', default: 'cpu' },
  },
});
let results = readResults();

async function compareAll(): Promise<void> {
  if (sharedMissing !== undefined) throw new Error(`nothing to compare on: ${sharedMissing}`);
  const commit = await describeCommit();
  const device = await openDevice(options.device as 'cpu' | 'webgpu');
  for (const at of CASES) {
    for (const variant of VARIANTS) {
      const name = `${at.model} ${variant.method ?? ''} ${variant.pattern}`;
      if (!options.only.every((text) => name.includes(text))) continue;
      if (options.missing && isWhole(at, variant)) continue;
      await compare({ at, folder: sharedModel(at.model), device, commit }, variant);
    }
  }
  await device.close();
}

/** Whether both sides of a variant are there, under protocol B, which every variant has. */
function isWhole({ model }: Case, { method, pattern }: Variant): boolean {
  const row = results.find(
    (each) => each.model === model && each.method === method && each.pattern === pattern && each.protocol === 'B',
  );
  return row !== undefined && (options.ours || row.reference !== undefined || !hasReference(method));
}

/** One variant of one checkpoint by both sides, under every protocol that applies. */
async function compare(work: Work, variant: Variant): Promise<void> {
  const { at } = work;
  const pruned = await openOurs(work, variant);
  const reference = new Reference(work, variant);
  for (const protocol of ['B', 'A']) {
    const named = { ...variant, model: at.model, protocol };
    const published = publishedOf(named) !== undefined;
    // Protocol A is there for the figures that were published by it.
    if (protocol === 'A' && !published) continue;
    const passages = passagesOf(work, protocol);
    const row: Row = { ...named, passages: passages.length, calibrationWindows: CALIBRATION_WINDOWS };
    const before = resultOf(results, row);
    const figures = await measureOurs(pruned.model, work, { protocol, windows: at.windows });
    const whole =
      published && Number.isFinite(at.windows) ? await measureOurs(pruned.model, work, { protocol }) : undefined;
    const theirs = hasReference(variant.method) ? await reference.figures(passages, before) : undefined;
    const differing = reference.differing(
      pruned,
      before?.ours.figures.perplexity === figures.perplexity ? before : undefined,
    );
    results = keepResult({
      ...row,
      ours: { ...made(work, figures, pruned.seconds), device: work.device.description },
      ...(whole && { whole }),
      ...(theirs && { reference: theirs }),
      ...(differing !== undefined && { differing }),
    });
    const against = theirs === undefined ? '' : ` against ${theirs.figures.perplexity.toFixed(4)}`;
    console.error(
      `${at.model} ${protocol} ${variant.method ?? ''} ${variant.pattern}: ${figures.perplexity.toFixed(4)}${against}`,
    );
  }
  await pruned.model.checkpoint.close();
}

function made({ commit }: Work, { perplexity, accuracy }: Figures, seconds: number): Made {
  const date = new Date().toISOString().slice(0, 10);
  return { figures: { perplexity, accuracy }, date, commit, seconds: Math.round(seconds) };
}

function passagesOf({ at, folder }: Work, protocol: string): Int32Array[] {
  if (protocol === 'B') return readWindows(folder, sharedData(at.data, 'eval.txt'), CONTEXT, at.windows);
  return readDocuments(folder, sharedData(at.data, 'eval.jsonl'), DOCUMENT_CONTEXT).slice(0, at.windows);
}

interface Pruned {
  readonly model: Model;
  readonly masks: ReadonlyMap<string, Uint8Array>;
  readonly seconds: number;
}

async function openOurs({ at, folder, device }: Work, { method, pattern }: Variant): Promise<Pruned> {
  const model = await openModel(folder);
  if (method === undefined) return { model, masks: new Map(), seconds: 0 };
  const tokenizer = await loadTokenizer(folder);
  const text = { windows: CALIBRATION_WINDOWS, context: CONTEXT, maxContext: model.decoder.maxContext };
  const { passages } = await readCalibration(sharedData(at.data, 'calibration.txt'), tokenizer, text);
  const start = performance.now();
  const pruned = await pruneOurs(model, { method, pattern, calibration: passages, device });
  return { ...pruned, seconds: (performance.now() - start) / 1000 };
}

/** The reference's side of one variant: pruned when it is first needed, which may be never. */
class Reference {
  readonly #work: Work;
  readonly #variant: Variant;
  readonly #source = referenceSource();
  #pruned: Promise<{ model: ReturnType<typeof loadReferenceModel>; blocks: PrunedBlock[] }> | undefined;
  #blocks: PrunedBlock[] | undefined;

  constructor(work: Work, variant: Variant) {
    this.#work = work;
    this.#variant = variant;
  }

  async figures(passages: readonly Int32Array[], before: Comparison | undefined): Promise<Comparison['reference']> {
    if (options.ours) return before?.reference;
    if (!options.fresh && before?.reference?.source === this.#source) return before.reference;
    const start = performance.now();
    this.#pruned ??= this.#prune();
    const { model, blocks } = await this.#pruned;
    this.#blocks = blocks;
    const figures = await evaluateReference(model, passages, availableParallelism());
    const seconds = (performance.now() - start) / 1000;
    return { ...made(this.#work, figures, seconds), source: this.#source, masks: masksDigest(blocks) };
  }

  /** Counted when both sides are at hand; `before` is the row that was made of the same two sides. */
  differing(ours: Pruned, before: Comparison | undefined): number | undefined {
    if (this.#variant.method === undefined) return undefined;
    return this.#blocks === undefined ? before?.differing : differingShare(ours, this.#blocks);
  }

  async #prune() {
    const { at, folder } = this.#work;
    const { method, pattern } = this.#variant;
    const model = loadReferenceModel(folder);
    const blocks: PrunedBlock[] = [];
    if (method !== undefined && hasReference(method)) {
      const windows = readWindows(folder, sharedData(at.data, 'calibration.txt'), CONTEXT, CALIBRATION_WINDOWS);
      const onBlock = (_: number, block: PrunedBlock) => void blocks.push(block);
      await pruneReference(model, { method, pattern, windows, threads: availableParallelism(), onBlock });
    }
    return { model, blocks };
  }
}

function masksDigest(blocks: readonly PrunedBlock[]): string {
  const hash = createHash('sha256');
  for (const block of blocks) for (const { keep } of Object.values(block)) hash.update(keep);
  return hash.digest('hex').slice(0, 12);
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
  const { perplexity, accuracy } = summarize(scores, { seed: 0 });
  return { perplexity, accuracy };
}

/** The share of all pruned matrices' weights that one side keeps and the other removes. */
function differingShare(ours: Pruned, blocks: readonly PrunedBlock[]): number {
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

if (!options.render) await compareAll();
const { markdown, failures } = renderTable(results);
await writeFile(fileURLToPath(new URL('../docs/pruning-table.md', import.meta.url)), markdown);
for (const failure of failures) console.error(`FAILED ${failure}`);
if (failures.length > 0) process.exitCode = 1;
