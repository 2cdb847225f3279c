import path from 'node:path';
import {
  openCheckpoint,
  refuseExisting,
  SafetensorsWriter,
  type TensorInfo,
  writeFileDurably,
  writeFolderWhole,
} from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { compareScores, scorePassages, summarize } from '../evaluation/index.js';
import { silent } from '../events.js';
import {
  ADAPTER_CONFIG,
  ADAPTER_WEIGHTS,
  type AdapterPlan,
  adapterConfig,
  adapterNames,
  adapterPlan,
  adapterTensors,
  type Correction,
  correctBlocks,
  withAdapter,
} from '../factorizing/index.js';
import type { HealingRecord } from '../healing/index.js';
import { MANIFEST_FILE } from '../manifest/index.js';
import { DEFAULT_MEMORY_BYTES, type Model, openModel } from '../model/index.js';
import { type Device, openDevice } from '../tensor/index.js';
import { adapterManifest, type MadeAdapter } from './adapter-manifest.js';
import { type Inputs, readTexts, textNotices } from './inputs.js';
import type { RunOptions } from './settings.js';

export interface AdapterOptions
  extends Pick<RunOptions, 'recipe' | 'device' | 'threads' | 'memoryBytes' | 'report' | 'signal'> {
  /** The model before it was compressed. */
  readonly base: string;
  readonly rank: number;
  /** How the factors are found, before anything is written; by the SVD of what is missing unless given. */
  readonly prepare?: (opened: OpenedForAdapter) => Promise<PreparedFactors>;
}

/** What an adapter is made of. */
export interface OpenedForAdapter {
  /** The compressed model. */
  readonly model: Model;
  readonly texts: Pick<Inputs, 'calibration' | 'evaluation'>;
  readonly before: Model;
  readonly plan: AdapterPlan;
  readonly device: Device;
}

/** Factors that are there, to be written in model order. */
export interface PreparedFactors {
  readonly healing: HealingRecord;
  each(use: (factors: Omit<Correction, 'remaining'>) => Promise<void>): Promise<void>;
}

/** Figures of one model on the evaluation text; `kl` against the base. */
export interface AdapterFigures {
  readonly perplexity: number;
  readonly accuracy: number;
  readonly kl?: number;
}

export interface AdapterResult {
  readonly out: string;
  readonly rank: number;
  /** Bytes of the adapter's tensors. */
  readonly bytes: number;
  /** What `verify` holds the folder against. */
  readonly manifest: string;
  readonly base: AdapterFigures;
  readonly compressed: AdapterFigures;
  readonly corrected: AdapterFigures;
  /** Of each linear: the part of its error on the calibration text that is left, where the factors are an SVD of it. */
  readonly matrices: readonly { readonly weight: string; readonly rank: number; readonly remaining?: number }[];
  /** How the factors were trained, where they were. */
  readonly healing?: HealingRecord;
}

/**
 * Writes a PEFT adapter that corrects a compressed model (`recipe.model`) towards what it was (`base`), with its manifest, whole or not at
 * all, and measures all three. It is no run of waves: there is no journal, nothing to resume, and what is interrupted begins anew. Throws `gate-failed`, with nothing written, where the corrected model is no nearer to the base; `usage` for
 * a base that is another model or an output that exists.
 */
export async function writeAdapter(options: AdapterOptions): Promise<AdapterResult> {
  const { recipe, device: choice = 'auto', threads, report = silent } = options;
  const model = await openModel(recipe.model);
  try {
    const before = await openModel(options.base);
    try {
      const plan = adapterPlan(model, before, options.rank);
      const texts = await readTexts(recipe, model, { gateIsOff: false, needed: true });
      const device = await openDevice(choice, threads === undefined ? {} : { threads });
      try {
        for (const message of [...device.notices, ...textNotices(texts)]) report({ type: 'notice', message });
        return await writeWith({ model, before, texts, plan, device }, options);
      } finally {
        await device.close();
      }
    } finally {
      await before.checkpoint.close();
    }
  } finally {
    await model.checkpoint.close();
  }
}

/** What `writeAdapter` would write; opens both models and writes nothing. Throws as it does. */
export async function planAdapter({
  recipe,
  base,
  rank,
}: AdapterOptions): Promise<Pick<AdapterResult, 'out' | 'rank' | 'bytes'>> {
  const model = await openModel(recipe.model);
  try {
    const before = await openModel(base);
    await before.checkpoint.close();
    await refuseExisting(recipe.out);
    const infos = adapterTensors(adapterPlan(model, before, rank));
    return { out: path.resolve(recipe.out), rank, bytes: bytesOf(infos) };
  } finally {
    await model.checkpoint.close();
  }
}

async function writeWith(opened: OpenedForAdapter, options: AdapterOptions): Promise<AdapterResult> {
  const { out, model } = options.recipe;
  const infos = adapterTensors(opened.plan);
  await refuseExisting(out);
  const prepared = await options.prepare?.(opened);
  let result: MadeAdapter['result'] | undefined;
  await writeFolderWhole(out, async (folder) => {
    const file = path.join(folder, ADAPTER_WEIGHTS);
    const matrices = await writeFactors({ file, infos, prepared }, opened, options);
    await writeFileDurably(path.join(folder, ADAPTER_CONFIG), adapterConfig(opened.plan, model));
    const healing = prepared && { healing: prepared.healing };
    result = { ...(await measured(file, opened, options)), matrices, ...healing };
    refuseWorse(result, out);
    const manifest = await adapterManifest({ folder, ...opened, result }, options);
    await writeFileDurably(path.join(folder, MANIFEST_FILE), manifest);
  });
  const place = path.resolve(out);
  return {
    out: place,
    rank: options.rank,
    bytes: bytesOf(infos),
    manifest: path.join(place, MANIFEST_FILE),
    ...result!,
  };
}

function bytesOf(infos: readonly TensorInfo[]): number {
  return infos.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

interface FactorFile {
  readonly file: string;
  readonly infos: readonly TensorInfo[];
  readonly prepared: PreparedFactors | undefined;
}

async function writeFactors(
  { file, infos, prepared }: FactorFile,
  { model, texts, before, plan, device }: OpenedForAdapter,
  options: AdapterOptions,
): Promise<AdapterResult['matrices']> {
  const { recipe, memoryBytes = DEFAULT_MEMORY_BYTES, report = silent, signal } = options;
  const context = {
    model,
    device,
    calibration: texts.calibration?.passages ?? [],
    seed: recipe.seed,
    memoryBytes,
    spillFolder: path.dirname(file),
    report,
    ...(signal && { signal }),
  };
  const writer = await SafetensorsWriter.create(file, infos, { format: 'pt' });
  const matrices: { weight: string; rank: number; remaining?: number }[] = [];
  try {
    if (prepared === undefined) await correctBlocks({ ...plan, before, use }, context);
    else await prepared.each(use);
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  return matrices;

  async function use({
    spec: { weight },
    rank,
    left,
    right,
    ...found
  }: Omit<Correction, 'remaining'> & Partial<Correction>) {
    const names = adapterNames(weight);
    await writer.write(names.left, 0, left);
    await writer.write(names.right, 0, right);
    matrices.push({ weight, rank, ...(found.remaining !== undefined && { remaining: found.remaining }) });
  }
}

/** Base, compressed and corrected model on the same text; nothing where there is none. */
async function measured(file: string, { model, texts, before, device }: OpenedForAdapter, options: AdapterOptions) {
  const { memoryBytes = DEFAULT_MEMORY_BYTES, report, signal } = options;
  const scoring = { device, memoryBytes, spillFolder: path.dirname(file), report, signal, base: before };
  const { passages } = texts.evaluation!;
  const seed = { seed: options.recipe.seed };
  const figures = async (now: Model) => {
    const { scores, baseScores = [], comparisons } = await scorePassages(now, passages, scoring);
    const { kl } = compareScores(baseScores, scores, { ...seed, ...(comparisons && { comparisons }) });
    const of = (all: typeof scores): AdapterFigures => {
      const { perplexity, accuracy } = summarize(all, seed);
      return { perplexity, accuracy };
    };
    return { base: of(baseScores), now: { ...of(scores), ...(kl !== undefined && { kl }) } };
  };
  const compressed = await figures(model);
  const adapter = await openCheckpoint(file);
  try {
    const corrected = await figures(await withAdapter(model, adapter));
    return { base: compressed.base, compressed: compressed.now, corrected: corrected.now };
  } finally {
    await adapter.close();
  }
}

/** Nearer is what predicts more like the base; KL is the measure of that, and what the adapter is for. */
function refuseWorse({ compressed, corrected }: Pick<AdapterResult, 'compressed' | 'corrected'>, out: string): void {
  if (corrected.kl! < compressed.kl!) return;
  throw new BirdboneError(
    'gate-failed',
    `The corrected model is no nearer to the base than the compressed one: KL divergence ${corrected.kl} after ${compressed.kl}. Nothing was written to ${out}.`,
    { suggestions: ['Calibrate on more text: --calibration-windows N', 'Take a higher rank: --rank N'] },
  );
}
