import { existsSync } from 'node:fs';
import path from 'node:path';
import { makeFolder, writeFileDurably } from '../checkpoint/index.js';
import type { Report } from '../events.js';
import { diffCheckpoints, manifestText, renderDiffMarkdown, type WeightHashes } from '../manifest/index.js';
import {
  type DiffFiles,
  type History,
  historyOf,
  isWhole,
  type Journal,
  publish,
  type StateFolder,
} from '../state/index.js';
import type { Base } from './base.js';
import { checkedReading } from './hash-stack.js';
import { figuresOfState } from './impact.js';
import { differencesOf, type Known } from './known.js';
import { ownFigures } from './nearer.js';
import { isStoredForm, manifestPlace, outputForm } from './output-form.js';
import { publishedQuality, type QualityFiles, writeQuality } from './quality.js';
import { manifestOf } from './result-manifest.js';
import { closeLayers, openLayers, type WaveLayer } from './session.js';
import { type RunResult, waveRecordOf } from './settings.js';
import { type StackedModel, stacked } from './stack.js';
import { sparsityOfState } from './state-sparsity.js';
import { techniqueGains } from './techniques.js';

/** What publishing needs: no device, no texts, so a rollback has it too. */
export interface Stack {
  readonly folder: StateFolder;
  readonly journal: Journal;
  readonly base: Base;
  /** What is known of it from the run's own work. */
  readonly known?: Known;
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
  const layers = await openLayers(stack.folder, past, stack.known?.store);
  try {
    const result = await stacked(stack.base.model, layers);
    // An output that somebody removed is made again: the layers are all it takes.
    const isMissing = past.stale || !existsSync(stack.folder.out);
    const stored = isMissing ? await publishResult(stack, past, { result, layers }) : undefined;
    if (past.evidence === undefined) await writeEvidence(stack, past, { result, stored });
  } finally {
    await closeLayers(layers);
  }
  return await resultOf(stack);
}

/** Returns the hashes of the state as it is stored. */
async function publishResult(
  stack: Stack,
  past: History,
  { result, layers }: { readonly result: StackedModel; readonly layers: readonly WaveLayer[] },
): Promise<WeightHashes> {
  const { folder, journal, base, report, signal } = stack;
  const watch = { report, ...(signal && { signal }) };
  // A model that was named by its one file has its config and tokenizer beside it: they were used, so they go along.
  const from = base.folder;
  const asStored = isStoredForm(past, result);
  const check = await checkedReading({ base: base.model, layers, seen: result, folder: from, asStored }, watch);
  let stored: WeightHashes | undefined;
  try {
    const form = await outputForm({ past, model: check.model, folder: from });
    for (const message of form.notices) report({ type: 'notice', message });
    const manifest = async (hashes: WeightHashes) => {
      stored = await check.hashes(hashes);
      return manifestText(manifestOf(past, hashes, base));
    };
    await publish(folder, journal, (place) => form.write(place, manifest, watch));
  } finally {
    await check.close();
  }
  report({ type: 'published', path: folder.out });
  return stored!;
}

/** The diff against the base, JSON for programs and Markdown for people; and pages on the quality, where there is something to say. */
async function writeEvidence(
  stack: Stack,
  past: History,
  { result, stored }: { readonly result: StackedModel; readonly stored: WeightHashes | undefined },
): Promise<void> {
  const { folder, journal, base, known, report, signal } = stack;
  const names = { before: path.basename(past.begin!.base.path), after: path.basename(folder.out) };
  const diff = await diffCheckpoints(base.model.checkpoint, result.checkpoint, {
    names,
    report,
    known: {
      ...(known && { before: known.base, sums: differencesOf(known, past) ?? new Map() }),
      ...(stored && { after: stored.tensors }),
    },
    ...(signal && { signal }),
  });
  const waves = past.waves.map(waveRecordOf);
  const mixed = past.state.tensors.length > 0 ? { state: past.state } : {};
  const files = diffFiles(stack);
  await makeFolder(path.dirname(files.json));
  await writeFileDurably(files.json, `${JSON.stringify({ ...diff, waves, ...mixed }, null, 2)}\n`);
  await writeFileDurably(files.markdown, renderDiffMarkdown(diff));
  await writeQuality(await publishedQuality(past, folder, base.model.checkpoint), qualityFiles(stack));
  await journal.append({ type: 'evidence', files });
}

function diffFiles(stack: Stack): DiffFiles {
  const stem = path.join(path.resolve(stack.diffs ?? 'diffs'), path.basename(stack.folder.out));
  return { json: `${stem}.diff.json`, markdown: `${stem}.diff.md` };
}

function qualityFiles(stack: Stack): QualityFiles {
  const { json } = diffFiles(stack);
  const stem = json.replace(/\.diff\.json$/, '.quality');
  return { markdown: `${stem}.md`, html: `${stem}.html` };
}

async function resultOf(stack: Stack): Promise<RunResult> {
  const past = historyOf(stack.journal.records);
  const waves = past.waves.map(waveRecordOf);
  const { sparsity, layers } = sparsityOfState(past, stack.base.model.checkpoint.tensors);
  const report = await publishedQuality(past, stack.folder, stack.base.model.checkpoint);
  const techniques = await techniqueGains(past, stack.folder, stack.base);
  const own = past.begin!.recipe.reference === undefined ? undefined : ownFigures(past);
  return {
    out: stack.folder.out,
    state: stack.folder.root,
    diff: past.evidence ?? diffFiles(stack),
    manifest: manifestPlace(stack.folder.out, past.begin!.recipe),
    baseline: past.baseline?.figures ?? {},
    ...(own && { before: own }),
    result: figuresOfState(past) ?? {},
    waves,
    at: past.state,
    sparsity,
    reached: past.finished?.reached === true && isWhole(past),
    reason: past.finished?.reason ?? 'not over',
    layers,
    ...(techniques.length > 0 && { techniques }),
    ...(report && { quality: { report, files: qualityFiles(stack) } }),
  };
}
