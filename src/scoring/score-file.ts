import { writeFileDurably } from '../checkpoint/index.js';
import { summariesToCsv } from '../importance/index.js';
import type { MetricComparison } from './comparison.js';
import type { LinearSummary } from './linear-summary.js';

/** What a score file says besides the scores. */
export interface ScoreHeader {
  /** The last component of the model's path: the same model gives the same file wherever it lies. */
  readonly model: string;
  readonly weights: string;
  readonly metric: string;
  /** The metrics that it is compared with. */
  readonly compare?: readonly string[];
  readonly keepAbove?: number;
  readonly calibration?: {
    readonly file: string;
    readonly sha256: string;
    readonly windows: number;
    readonly context: number;
  };
}

export const SCORE_FORMATS = ['json', 'csv'] as const;
export type ScoreFormat = (typeof SCORE_FORMATS)[number];

export interface ScoreFileContent {
  readonly header: ScoreHeader;
  readonly summaries: readonly LinearSummary[];
  /** In a JSON file alone: a table of scores has no place for them. */
  readonly comparisons: readonly MetricComparison[];
}

/** Writes the summaries of all matrices to a file that appears whole or not at all. */
export function writeScores(file: string, format: ScoreFormat, content: ScoreFileContent): Promise<void> {
  return writeFileDurably(file, format === 'csv' ? summariesToCsv(content.summaries) : toJson(content));
}

/** One matrix a line, so that a file of a large model never is one string. */
function* toJson({ header, summaries, comparisons }: ScoreFileContent) {
  yield `{"scores":1,${JSON.stringify(header).slice(1, -1)},"matrices":[\n`;
  yield* lines(summaries);
  yield comparisons.length === 0 ? ']}\n' : '],"comparisons":[\n';
  if (comparisons.length === 0) return;
  yield* lines(comparisons);
  yield ']}\n';
}

function* lines(items: readonly object[]) {
  for (const [index, item] of items.entries()) yield `${JSON.stringify(item)}${index + 1 < items.length ? ',' : ''}\n`;
}
