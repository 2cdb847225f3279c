import path from 'node:path';
import { type FileKind, outputFileFormat, writeFileDurably } from '../checkpoint/index.js';
import { type Calibration, readCalibration } from '../corpus/index.js';
import { BirdboneError } from '../errors.js';
import type { Report } from '../events.js';
import { type ImportanceMetric, metrics, needsText } from '../importance/index.js';
import { hashCheckpoint } from '../manifest/index.js';
import { loadTokenizer, type Model, openPrunable } from '../model/index.js';
import type { DeviceChoice } from '../tensor/index.js';
import type { MetricComparison } from './comparison.js';
import type { LinearSummary } from './linear-summary.js';
import { SCORE_FORMATS, type ScoreFormat, type ScoreHeader, writeScores } from './score-file.js';
import { type ModelScores, runScores } from './score-run.js';
import { type ThresholdCounts, thresholdCounts } from './threshold.js';

/** Which model to score, by which metrics, into which files. */
export interface ScoreOptions {
  readonly model: string;
  readonly metric: string;
  /** The file to write, .json or .csv. */
  readonly out: string;
  /** Metrics to compare with `metric`. */
  readonly compare?: readonly string[];
  /** What each metric would remove when they are compared; a half unless given. */
  readonly sparsity?: number;
  /** Counts what would stay if every weight went that does not score above this. */
  readonly keepAbove?: number;
  /** A drawing to write, .html or .svg. */
  readonly picture?: string;
  readonly calibration?: { readonly file: string; readonly windows: number; readonly context: number };
  readonly device?: DeviceChoice;
  readonly threads?: number;
  readonly memoryBytes?: number;
  /** Check everything, write nothing. */
  readonly dryRun?: boolean;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** What was scored, and each matrix at a glance; rows, columns and heads are in the file. */
export interface ScoreResult extends ScoreHeader {
  readonly out: string;
  readonly picture?: string;
  readonly written: boolean;
  readonly matrices: readonly Pick<LinearSummary, 'metric' | 'name' | 'block' | 'role' | 'all'>[];
  readonly threshold?: ThresholdCounts;
  readonly comparisons?: readonly MetricComparison[];
}

type Metrics = ReadonlyMap<string, ImportanceMetric>;
type PictureFormat = 'html' | 'svg';

const SCORE_FILE: FileKind<ScoreFormat> = { name: 'score', flag: '--out', formats: SCORE_FORMATS };
const PICTURE_FILE: FileKind<PictureFormat> = { name: 'picture', flag: '--picture', formats: ['html', 'svg'] };

/** Scores every linear weight inside the blocks and writes a summary of each matrix. Throws `usage` before any work is done. */
export async function score(options: ScoreOptions): Promise<ScoreResult> {
  const format = await outputFileFormat(options.out, SCORE_FILE);
  const drawing = options.picture === undefined ? undefined : await outputFileFormat(options.picture, PICTURE_FILE);
  const chosen = await loadMetrics(options);
  const model = await openPrunable(options.model);
  try {
    const calibration = await readText(chosen, model, options);
    const header = await headerOf(model, calibration, options);
    const { out, picture } = options;
    const files = { out, ...(picture !== undefined && { picture }) };
    if (options.dryRun) return { ...header, ...files, written: false, matrices: [] };
    const { sparsity = 0.5, ...rest } = options;
    const scores = await runScores(chosen, model, { ...rest, sparsity, calibration: calibration?.passages ?? [] });
    const { summaries, comparisons } = scores;
    const threshold = thresholdOf(scores, options);
    await writeScores(out, format, { header, summaries, comparisons });
    if (drawing !== undefined) await writePicture(picture!, drawing, { header, scores, threshold });
    return {
      ...header,
      ...files,
      written: true,
      matrices: summaries.map(({ metric, name, block, role, all }) => ({ metric, name, block, role, all })),
      ...(threshold && { threshold }),
      ...(comparisons.length > 0 && { comparisons }),
    };
  } finally {
    await model.checkpoint.close();
  }
}

/** The first is the one that the others are compared with. */
async function loadMetrics({ metric, compare = [] }: ScoreOptions): Promise<Metrics> {
  const chosen = new Map<string, ImportanceMetric>();
  for (const name of [metric, ...compare]) {
    if (chosen.has(name)) {
      throw new BirdboneError('usage', `The metric ${name} would be compared with itself.`, {
        suggestions: [`Compare ${name} with others: ${metrics.names.filter((other) => other !== name).join(', ')}`],
      });
    }
    chosen.set(name, await metrics.load(name));
  }
  return chosen;
}

async function headerOf(
  model: Model,
  calibration: Calibration | undefined,
  options: ScoreOptions,
): Promise<ScoreHeader> {
  const { report, signal, compare = [], keepAbove } = options;
  const { weights } = await hashCheckpoint(model.checkpoint, { ...(report && { report }), ...(signal && { signal }) });
  return {
    model: path.basename(path.resolve(options.model)),
    weights,
    metric: options.metric,
    ...(compare.length > 0 && { compare }),
    ...(keepAbove !== undefined && { keepAbove }),
    ...(calibration && { calibration: { ...options.calibration!, sha256: calibration.source.sha256 } }),
  };
}

function thresholdOf({ summaries }: ModelScores, { metric, keepAbove }: ScoreOptions): ThresholdCounts | undefined {
  if (keepAbove === undefined) return undefined;
  const own = summaries.filter((summary) => summary.metric === metric);
  return thresholdCounts(own, keepAbove);
}

async function writePicture(
  file: string,
  format: PictureFormat,
  drawn: {
    readonly header: ScoreHeader;
    readonly scores: ModelScores;
    readonly threshold: ThresholdCounts | undefined;
  },
): Promise<void> {
  const { scorePicture } = await import('./score-picture.js');
  const { page, sheet } = await import('../pictures/index.js');
  const picture = await scorePicture(drawn.header, drawn.scores, drawn.threshold);
  await writeFileDurably(file, format === 'html' ? page(picture) : sheet(picture));
}

async function readText(chosen: Metrics, model: Model, options: ScoreOptions): Promise<Calibration | undefined> {
  const needing = [...chosen].filter(([, metric]) => needsText(metric)).map(([name]) => name);
  if (needing.length === 0) return undefined;
  const { calibration } = options;
  const { refusal } = model.decoder;
  if (refusal !== undefined) {
    throw new BirdboneError(
      'unsupported',
      `The metric ${needing[0]} looks at what a text does in the model, and this one cannot be run: ${refusal}.`,
      { file: options.model, suggestions: ['Score by the weights alone: --metric magnitude'] },
    );
  }
  if (calibration === undefined) {
    throw new BirdboneError(
      'usage',
      `The metric ${needing[0]} looks at what a text does in the model, and there is no calibration text.`,
      {
        suggestions: ['Give a text file: --calibration FILE', 'Score by the weights alone: --metric magnitude'],
      },
    );
  }
  const tokenizer = await loadTokenizer(options.model);
  const read = await readCalibration(calibration.file, tokenizer, {
    ...calibration,
    maxContext: model.decoder.maxContext,
  });
  for (const message of read.notices ?? []) options.report?.({ type: 'notice', message });
  return read;
}
