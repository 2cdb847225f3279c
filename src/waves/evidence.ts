import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { writeFileDurably } from '../checkpoint/index.js';
import type { Report } from '../events.js';
import {
  createManifest,
  diffCheckpoints,
  hashCheckpoint,
  MANIFEST_FILE,
  type ManifestInput,
  manifestText,
  renderDiffMarkdown,
} from '../manifest/index.js';
import { folderOf, type Model } from '../model/index.js';
import {
  type DiffFiles,
  type History,
  historyOf,
  isWhole,
  type Journal,
  manifestDigest,
  publish,
  type StateFolder,
} from '../state/index.js';
import { closeLayers, openLayers, stacked } from './session.js';
import type { RunResult, WaveRecord } from './settings.js';

/** What publishing needs: no device, no texts, so a rollback has it too. */
export interface Stack {
  readonly folder: StateFolder;
  readonly journal: Journal;
  /** The base model, without layers. */
  readonly model: Model;
  readonly report: Report;
  readonly signal: AbortSignal | undefined;
  /** Folder of the diff; `diffs` in the working directory by default. */
  readonly diffs: string | undefined;
}

/**
 * Brings the output up to what the journal's active waves make, with manifest and diff, where it is not so already, and says
 * what is there. Everything written is a function of base, recipe and waves: no clock, no machine path.
 */
export async function publishStack(stack: Stack): Promise<RunResult> {
  const past = historyOf(stack.journal.records);
  const layers = await openLayers(stack.folder, past);
  try {
    const result = stacked(stack.model, layers);
    // An output that somebody removed is made again: the layers are all it takes.
    if (past.stale || !existsSync(stack.folder.out)) await publishResult(stack, past, result);
    if (past.evidence === undefined) await writeDiff(stack, past, result);
  } finally {
    await closeLayers(layers);
  }
  return resultOf(stack);
}

async function publishResult(stack: Stack, past: History, result: Model): Promise<void> {
  const { folder, journal, model, report, signal } = stack;
  const watch = { report, ...(signal && { signal }) };
  const begin = past.begin!;
  // A model that was named by its one file has its config and tokenizer beside it: they were used, so they go along.
  const carryFrom = await folderOf(begin.base.path);
  const source = { ...result.checkpoint, path: carryFrom };
  const hashes = await hashCheckpoint(source, watch);
  const basis = await manifestDigest(carryFrom);
  const manifest = createManifest({
    hashes,
    version: begin.version,
    architecture: model.decoder.architecture,
    base: {
      name: begin.base.path,
      weights: begin.base.weights,
      metadata: begin.base.metadata,
      ...(basis && { manifest: basis }),
    },
    recipe: { ...begin.recipe },
    seed: begin.recipe.seed,
    versions: { ...begin.versions },
    ...measuredOf(past),
    waves: past.waves.map(({ wave, step, target, sparsity, verdict, reason, figures, active }) => {
      return { wave, step, target, sparsity, verdict, reason, figures: { ...figures }, active };
    }),
  });
  await publish(folder, journal, {
    source,
    carryFrom,
    manifest: manifestText(manifest),
    maxShardBytes: begin.recipe.maxShardBytes,
    ...watch,
  });
  report({ type: 'published', path: folder.out });
}

/** The diff against the base: JSON for programs, Markdown for people. */
async function writeDiff(stack: Stack, past: History, result: Model): Promise<void> {
  const { folder, journal, model, report, signal } = stack;
  const names = { before: path.basename(past.begin!.base.path), after: path.basename(folder.out) };
  const diff = await diffCheckpoints(model.checkpoint, result.checkpoint, { names, report, ...(signal && { signal }) });
  const waves = past.waves.map(({ wave, target, sparsity, verdict, reason, figures, active }) => ({
    wave,
    target,
    sparsity,
    verdict,
    reason,
    figures,
    active,
  }));
  const files = diffFiles(stack);
  await mkdir(path.dirname(files.json), { recursive: true });
  await writeFileDurably(files.json, `${JSON.stringify({ ...diff, waves }, null, 2)}\n`);
  await writeFileDurably(files.markdown, renderDiffMarkdown(diff));
  await journal.append({ type: 'evidence', files });
}

function diffFiles(stack: Stack): DiffFiles {
  const stem = path.join(path.resolve(stack.diffs ?? 'diffs'), path.basename(stack.folder.out));
  return { json: `${stem}.diff.json`, markdown: `${stem}.diff.md` };
}

/** What was measured on the gate's text, with the verdict on what is published; nothing where no text was given. */
function measuredOf(past: History): Pick<ManifestInput, 'measured'> {
  const { recipe, evaluation, calibration } = past.begin!;
  const last = lastActive(past);
  if (evaluation === undefined || past.baseline === undefined) return {};
  return {
    measured: {
      protocol: recipe.evaluation.protocol,
      context: recipe.evaluation.context,
      data: { ...evaluation },
      ...(calibration && { calibration: { ...calibration } }),
      baseline: { ...past.baseline.figures },
      result: { ...figuresOf(past) },
      gate: {
        limits: past.begin!.gate,
        pass: last === undefined || last.verdict === 'committed',
        reason: last?.reason ?? 'the dense model',
      },
    },
  };
}

function lastActive(past: History): History['waves'][number] | undefined {
  return past.waves.filter((wave) => wave.active).at(-1);
}

function figuresOf(past: History): Readonly<Record<string, number>> {
  return lastActive(past)?.figures ?? past.baseline?.figures ?? {};
}

function resultOf(stack: Stack): RunResult {
  const past = historyOf(stack.journal.records);
  const waves: WaveRecord[] = past.waves.map(({ wave, step, target, sparsity, verdict, reason, figures, active }) => {
    return { wave, step, target, sparsity, verdict, reason, figures, active };
  });
  const last = lastActive(past);
  return {
    out: stack.folder.out,
    state: stack.folder.root,
    diff: past.evidence ?? diffFiles(stack),
    manifest: path.join(stack.folder.out, MANIFEST_FILE),
    baseline: past.baseline?.figures ?? {},
    result: figuresOf(past),
    waves,
    sparsity: last?.sparsity ?? 0,
    reached: past.finished?.reached === true && isWhole(past),
    layers: last?.layers ?? [],
  };
}
