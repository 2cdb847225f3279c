import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readCalibration } from '../corpus/index.js';
import { BirdboneError } from '../errors.js';
import { type Report, silent } from '../events.js';
import { type ImportanceMetric, metrics, needsText } from '../importance/index.js';
import { DEFAULT_MEMORY_BYTES, loadTokenizer, type Model } from '../model/index.js';
import {
  type AxisSums,
  type Marks,
  type PlateGraph,
  type PlateKind,
  Protections,
  plateGraph,
  shedLevels,
  type TargetName,
} from '../plates/index.js';
import { type DeviceChoice, openDevice } from '../tensor/index.js';
import type { BlockSurvey } from './block-survey.js';
import { openSurveyed, type SurveyedModel } from './opened.js';
import { protectPlates } from './protect.js';
import { type ScoredRange, scoreRanges } from './ranked.js';
import { surveyModel } from './survey-model.js';

/** Which plates of which model to look at, and how. */
export interface SurveyOptions {
  /** A model folder or file, or a state of a run: OUT@N. */
  readonly model: string;
  /** The kinds to look at; all that the model has, but for the vocabulary, unless given. */
  readonly kinds?: readonly PlateKind[];
  /** `activation` with a calibration text and `magnitude` without, unless given. */
  readonly metric?: string;
  readonly calibration?: { readonly file: string; readonly windows: number; readonly context: number };
  readonly protectFirst?: number;
  readonly protectLast?: number;
  readonly target?: TargetName;
  /** Devices over which the target splits the model. */
  readonly shards?: number;
  /** Where journals lie, when not beside the outputs. */
  readonly state?: string;
  readonly device?: DeviceChoice;
  readonly threads?: number;
  readonly memoryBytes?: number;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** Everything that was found of a model's plates, by ranges. */
export interface Survey {
  readonly name: string;
  readonly model: Model;
  readonly graph: PlateGraph;
  readonly metric: string;
  readonly kinds: readonly PlateKind[];
  readonly ranked: readonly ScoredRange[];
  /** The least aggressiveness at which each plate would be shed, range by range. */
  readonly levels: readonly Float64Array[];
  readonly protections: Protections;
  readonly redundancies: BlockSurvey['redundancies'];
  /** What the waves of a run have shed. */
  readonly shed: Marks;
}

/** One at either end; in a model of so few blocks that the ends are most of it, none. */
const FEWEST_BLOCKS_WITH_ENDS = 4;

function defaultProtected({ blocks }: PlateGraph): number {
  return blocks.length < FEWEST_BLOCKS_WITH_ENDS ? 0 : 1;
}

/**
 * Surveys a model's plates and hands them to `use` while the model is open. Throws `usage` before any work for kinds that the model
 * does not have and a metric that needs a text where there is none.
 */
export async function surveyPlates<Result>(
  options: SurveyOptions,
  use: (survey: Survey) => Promise<Result>,
): Promise<Result> {
  const opened = await openSurveyed(options);
  try {
    const passages = await readText(opened.model, opened.folder, options);
    return await use(await surveyOpened({ ...opened, passages }, options));
  } finally {
    await opened.model.checkpoint.close();
  }
}

/** As `surveyPlates`, of a model that is open, by windows of tokens; none: by the weights alone. */
export async function surveyOpened(
  { model, shed, name, passages }: Omit<SurveyedModel, 'folder'> & { readonly passages: Windows },
  options: Omit<SurveyOptions, 'model' | 'calibration'>,
): Promise<Survey> {
  const graph = plateGraph(model.decoder);
  const kinds = kindsOf(graph, options.kinds);
  const metricName = options.metric ?? (passages.length === 0 ? 'magnitude' : 'activation');
  const metric = await metrics.load(metricName);
  if (needsText(metric) && passages.length === 0) throw needsCalibration(metricName);
  const { activities, redundancies, ...found } = await lookAt(model, { graph, metric, passages }, options);
  const ranked = scoreRanges(graph, kinds, found, metricName);
  const ends = defaultProtected(graph);
  const { protectFirst: first = ends, protectLast: last = ends, target, shards = 1 } = options;
  const rules = { first, last, shards, ...(target && { target }) };
  const protections = new Protections(await protectPlates(model, graph, { ranked, activities, shed }, rules));
  const levels = shedLevels(ranked.map((entry) => ({ ...entry, releases: protections.releases(entry.range) })));
  return { name, model, graph, metric: metricName, kinds, ranked, levels, protections, redundancies, shed };
}

type Windows = readonly { readonly ids: Int32Array }[];

async function lookAt(
  model: Model,
  what: {
    readonly graph: PlateGraph;
    readonly metric: ImportanceMetric;
    readonly passages: Windows;
  },
  {
    device: choice = 'auto',
    threads,
    report = silent,
    signal,
    memoryBytes = DEFAULT_MEMORY_BYTES,
  }: Omit<SurveyOptions, 'model'>,
): Promise<BlockSurvey> {
  const device = await openDevice(choice, threads === undefined ? {} : { threads });
  const spillFolder = await mkdtemp(path.join(tmpdir(), 'birdbone-plates-'));
  const sums = new Map<string, AxisSums>();
  const activities: BlockSurvey['activities'][number][] = [];
  const redundancies: BlockSurvey['redundancies'][number][] = [];
  const expertOutputs: BlockSurvey['expertOutputs'][number][] = [];
  try {
    for (const message of device.notices) report({ type: 'notice', message });
    const { passages: calibration, ...rest } = what;
    const context = {
      model,
      ...rest,
      calibration,
      device,
      memoryBytes,
      spillFolder,
      report,
      ...(signal && { signal }),
    };
    for await (const found of surveyModel(context)) {
      for (const [name, sum] of found.sums) sums.set(name, sum);
      activities.push(...found.activities);
      redundancies.push(...found.redundancies);
      expertOutputs.push(...found.expertOutputs);
    }
    return { sums, activities, redundancies, expertOutputs };
  } finally {
    await rm(spillFolder, { recursive: true, force: true });
    await device.close();
  }
}

/** The vocabulary's rows are only looked at when they are asked for: nothing inside the blocks is about them. */
function kindsOf(graph: PlateGraph, wanted: readonly PlateKind[] | undefined): readonly PlateKind[] {
  const missing = wanted?.find((kind) => !graph.kinds.includes(kind));
  if (missing !== undefined) {
    throw new BirdboneError('usage', `The model has no plates of kind ${missing}. It has ${graph.kinds.join(', ')}.`);
  }
  return wanted ?? graph.kinds.filter((kind) => kind !== 'vocabulary');
}

function needsCalibration(metric: string): BirdboneError {
  return new BirdboneError(
    'usage',
    `The metric ${metric} looks at what a text does in the model, and there is no calibration text.`,
    { suggestions: ['Give a text file: --calibration FILE', 'Score by the weights alone: --metric magnitude'] },
  );
}

async function readText(model: Model, folder: string, { calibration, report }: SurveyOptions) {
  if (calibration === undefined) return [];
  const tokenizer = await loadTokenizer(folder);
  const { maxContext } = model.decoder;
  const { passages, notices = [] } = await readCalibration(calibration.file, tokenizer, { ...calibration, maxContext });
  for (const message of notices) report?.({ type: 'notice', message });
  return passages;
}
