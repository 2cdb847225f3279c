import { open, rm } from 'node:fs/promises';
import { renameDurably } from '../checkpoint/index.js';
import { summariesToCsv } from '../importance/index.js';
import type { LinearSummary } from './linear-summary.js';

/** What a score file says besides the scores. */
export interface ScoreHeader {
  /** The last component of the model's path: the same model gives the same file wherever it lies. */
  readonly model: string;
  readonly weights: string;
  readonly metric: string;
  readonly calibration?: {
    readonly file: string;
    readonly sha256: string;
    readonly windows: number;
    readonly context: number;
  };
}

export const SCORE_FORMATS = ['json', 'csv'] as const;
export type ScoreFormat = (typeof SCORE_FORMATS)[number];

/** Writes the summaries of all matrices to a file that appears whole or not at all. */
export async function writeScores(
  file: string,
  format: ScoreFormat,
  content: { readonly header: ScoreHeader; readonly summaries: readonly LinearSummary[] },
): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = await open(temporary, 'w');
  try {
    for (const part of format === 'csv' ? summariesToCsv(content.summaries) : toJson(content))
      await handle.appendFile(part);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await rm(temporary, { force: true });
    throw error;
  }
  await handle.close();
  await renameDurably(temporary, file);
}

/** One matrix a line, so that a file of a large model never is one string. */
function* toJson({
  header,
  summaries,
}: {
  readonly header: ScoreHeader;
  readonly summaries: readonly LinearSummary[];
}) {
  yield `{"scores":1,${JSON.stringify(header).slice(1, -1)},"matrices":[\n`;
  for (const [index, summary] of summaries.entries()) {
    yield `${JSON.stringify(summary)}${index + 1 < summaries.length ? ',' : ''}\n`;
  }
  yield ']}\n';
}
