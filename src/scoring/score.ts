import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Calibration, readCalibration } from '../corpus/index.js';
import { BirdboneError } from '../errors.js';
import { type Report, silent } from '../events.js';
import { type ImportanceMetric, metrics, needsText } from '../importance/index.js';
import { hashCheckpoint } from '../manifest/index.js';
import { DEFAULT_MEMORY_BYTES, loadTokenizer, type Model, openModel } from '../model/index.js';
import { scoreModel } from '../pruning/index.js';
import { type DeviceChoice, openDevice } from '../tensor/index.js';
import { type LinearSummary, summarize } from './linear-summary.js';
import { SCORE_FORMATS, type ScoreFormat, type ScoreHeader, writeScores } from './score-file.js';

/** Which model to score, by which metric, into which file. */
export interface ScoreOptions {
  readonly model: string;
  readonly metric: string;
  /** The file to write, .json or .csv. */
  readonly out: string;
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
  readonly written: boolean;
  readonly matrices: readonly Pick<LinearSummary, 'name' | 'block' | 'role' | 'all'>[];
}

/** Scores every linear weight inside the blocks and writes a summary of each matrix. Throws `usage` before any work is done. */
export async function score(options: ScoreOptions): Promise<ScoreResult> {
  const format = formatOf(options.out);
  await checkFolder(options.out);
  const metric = await metrics.load(options.metric);
  const model = await openModel(options.model);
  try {
    const calibration = await readText(metric, model, options);
    const stop = {
      ...(options.report && { report: options.report }),
      ...(options.signal && { signal: options.signal }),
    };
    const header: ScoreHeader = {
      model: path.basename(path.resolve(options.model)),
      weights: (await hashCheckpoint(model.checkpoint, stop)).weights,
      metric: options.metric,
      ...(calibration && { calibration: { ...options.calibration!, sha256: calibration.source.sha256 } }),
    };
    if (options.dryRun) return { ...header, out: options.out, written: false, matrices: [] };
    const summaries = await scoreAll(metric, model, { ...options, calibration });
    await writeScores(options.out, format, { header, summaries });
    const matrices = summaries.map(({ name, block, role, all }) => ({ name, block, role, all }));
    return { ...header, out: options.out, written: true, matrices };
  } finally {
    await model.checkpoint.close();
  }
}

async function scoreAll(
  metric: ImportanceMetric,
  model: Model,
  options: Omit<ScoreOptions, 'calibration'> & { readonly calibration: Calibration | undefined },
): Promise<LinearSummary[]> {
  const device = await openDevice(
    options.device ?? 'auto',
    options.threads === undefined ? {} : { threads: options.threads },
  );
  const spillFolder = await mkdtemp(path.join(tmpdir(), 'birdbone-score-'));
  const report = options.report ?? silent;
  try {
    for (const message of device.notices) report({ type: 'notice', message });
    const summaries: LinearSummary[] = [];
    const metrics = new Map([[options.metric, metric]]);
    const context = {
      model,
      device,
      calibration: options.calibration?.passages ?? [],
      memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY_BYTES,
      spillFolder,
      report,
      ...(options.signal && { signal: options.signal }),
    };
    for await (const linear of scoreModel(metrics, context)) {
      const { headDim } = model.decoder.blocks[linear.block]!;
      summaries.push(summarize(linear, linear.scores.get(options.metric)!, headDim));
    }
    return summaries;
  } finally {
    await rm(spillFolder, { recursive: true, force: true });
    await device.close();
  }
}

async function readText(
  metric: ImportanceMetric,
  model: Model,
  options: ScoreOptions,
): Promise<Calibration | undefined> {
  if (!needsText(metric)) return undefined;
  const { calibration } = options;
  if (calibration === undefined) {
    throw new BirdboneError(
      'usage',
      `The metric ${options.metric} looks at activations, and there is no calibration text.`,
      {
        suggestions: ['Give a text file: --calibration FILE', 'Score by the weights alone: --metric magnitude'],
      },
    );
  }
  const tokenizer = await loadTokenizer(options.model);
  return readCalibration(calibration.file, tokenizer, { ...calibration, maxContext: model.decoder.maxContext });
}

function formatOf(file: string): ScoreFormat {
  const extension = path.extname(file).slice(1).toLowerCase();
  const format = SCORE_FORMATS.find((known) => known === extension);
  if (format !== undefined) return format;
  throw new BirdboneError('usage', `"${file}" is not a score file. Its name must end in .json or .csv.`, {
    suggestions: [`--out ${path.basename(file, path.extname(file))}.json`],
  });
}

/** Hours of scoring must not end at a folder that is not there. */
async function checkFolder(file: string): Promise<void> {
  const folder = path.dirname(path.resolve(file));
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new BirdboneError('usage', `"${file}" cannot be written: ${folder} is no folder.`, {
    suggestions: [`Make it first: mkdir -p ${folder}`],
  });
}
