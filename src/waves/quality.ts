import { rm } from 'node:fs/promises';
import path from 'node:path';
import { type Checkpoint, openCheckpoint, writeFileDurably } from '../checkpoint/index.js';
import { page } from '../pictures/index.js';
import { type QualityReport, qualityMarkdown, qualityPicture, qualityReport } from '../quality/index.js';
import { outputFormat } from '../recipe.js';
import type { History, StateFolder } from '../state/index.js';
import { figuresOfState } from './impact.js';

/**
 * The quality report of what is published; undefined where no wave has changed how matrices are stored. Sizes are those of the
 * tensors in the published files, so that everything that is stored beside the codes counts.
 */
export async function publishedQuality(
  past: History,
  folder: StateFolder,
  base: Pick<Checkpoint, 'tensors'>,
): Promise<QualityReport | undefined> {
  const { recipe, base: from } = past.begin!;
  const input = {
    names: { before: path.basename(from.path), after: path.basename(folder.out) },
    format: outputFormat(recipe),
    waves: past.waves,
    baseline: past.baseline?.figures ?? {},
    result: figuresOfState(past) ?? {},
    bytes: { before: bytesOf(base), after: 0 },
  };
  if (qualityReport(input) === undefined) return undefined;
  const published = await openCheckpoint(folder.out);
  await published.close();
  return qualityReport({ ...input, bytes: { ...input.bytes, after: bytesOf(published) } });
}

/** The report as pages, beside the diff. */
export interface QualityFiles {
  readonly markdown: string;
  readonly html: string;
}

/** Writes the pages of a report; without one, removes those that told of an earlier state. */
export async function writeQuality(report: QualityReport | undefined, files: QualityFiles): Promise<void> {
  if (report === undefined) {
    for (const file of [files.markdown, files.html]) await rm(file, { force: true });
    return;
  }
  await writeFileDurably(files.markdown, qualityMarkdown(report));
  await writeFileDurably(files.html, page(await qualityPicture(report)));
}

function bytesOf({ tensors }: Pick<Checkpoint, 'tensors'>): number {
  return [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}
