import { existsSync } from 'node:fs';
import path from 'node:path';
import { makeFolder, writeFileDurably } from '../checkpoint/index.js';
import type { Report } from '../events.js';
import { diffCheckpoints, hashCheckpoint, MANIFEST_FILE, manifestText, renderDiffMarkdown } from '../manifest/index.js';
import type { Model } from '../model/index.js';
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
import { checkDigests } from './expected-digests.js';
import { figuresOfState } from './impact.js';
import { hasPlates, publishedView } from './marks.js';
import { manifestOf } from './result-manifest.js';
import { closeLayers, openLayers, stacked, type WaveLayer } from './session.js';
import { type RunResult, waveRecordOf } from './settings.js';
import { sparsityOfState } from './state-sparsity.js';

/** What publishing needs: no device, no texts, so a rollback has it too. */
export interface Stack {
  readonly folder: StateFolder;
  readonly journal: Journal;
  readonly base: Base;
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
    const result = stacked(stack.base.model, layers);
    // An output that somebody removed is made again: the layers are all it takes.
    if (past.stale || !existsSync(stack.folder.out)) await publishResult(stack, past, { result, layers });
    if (past.evidence === undefined) await writeDiff(stack, past, result);
  } finally {
    await closeLayers(layers);
  }
  return resultOf(stack);
}

async function publishResult(
  stack: Stack,
  past: History,
  { result, layers }: { readonly result: Model; readonly layers: readonly WaveLayer[] },
): Promise<void> {
  const { folder, journal, base, report, signal } = stack;
  const watch = { report, ...(signal && { signal }) };
  // A model that was named by its one file has its config and tokenizer beside it: they were used, so they go along.
  const seen = { ...result.checkpoint, path: base.folder };
  const seenHashes = await hashCheckpoint(seen, watch);
  // The waves' digests are of whole tensors: what is cut can be held against them only before.
  checkDigests(seenHashes, layers);
  const source = await publishedView(past, seen, base.model);
  const hashes = hasPlates(past) ? await hashCheckpoint(source, watch) : seenHashes;
  await publish(folder, journal, {
    source,
    carryFrom: base.folder,
    manifest: manifestText(manifestOf(past, hashes, base)),
    maxShardBytes: past.begin!.recipe.maxShardBytes,
    ...watch,
  });
  report({ type: 'published', path: folder.out });
}

/** The diff against the base: JSON for programs, Markdown for people. */
async function writeDiff(stack: Stack, past: History, result: Model): Promise<void> {
  const { folder, journal, base, report, signal } = stack;
  const names = { before: path.basename(past.begin!.base.path), after: path.basename(folder.out) };
  const diff = await diffCheckpoints(base.model.checkpoint, result.checkpoint, {
    names,
    report,
    ...(signal && { signal }),
  });
  const waves = past.waves.map(waveRecordOf);
  const mixed = past.state.tensors.length > 0 ? { state: past.state } : {};
  const files = diffFiles(stack);
  await makeFolder(path.dirname(files.json));
  await writeFileDurably(files.json, `${JSON.stringify({ ...diff, waves, ...mixed }, null, 2)}\n`);
  await writeFileDurably(files.markdown, renderDiffMarkdown(diff));
  await journal.append({ type: 'evidence', files });
}

function diffFiles(stack: Stack): DiffFiles {
  const stem = path.join(path.resolve(stack.diffs ?? 'diffs'), path.basename(stack.folder.out));
  return { json: `${stem}.diff.json`, markdown: `${stem}.diff.md` };
}

function resultOf(stack: Stack): RunResult {
  const past = historyOf(stack.journal.records);
  const waves = past.waves.map(waveRecordOf);
  const { sparsity, layers } = sparsityOfState(past, stack.base.model.checkpoint.tensors);
  return {
    out: stack.folder.out,
    state: stack.folder.root,
    diff: past.evidence ?? diffFiles(stack),
    manifest: path.join(stack.folder.out, MANIFEST_FILE),
    baseline: past.baseline?.figures ?? {},
    result: figuresOfState(past) ?? {},
    waves,
    at: past.state,
    sparsity,
    reached: past.finished?.reached === true && isWhole(past),
    layers,
  };
}
