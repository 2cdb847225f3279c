import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readCalibration } from '../corpus/index.js';
import { BirdboneError } from '../errors.js';
import { type Report, silent } from '../events.js';
import { type ImportanceMetric, metrics, needsText } from '../importance/index.js';
import { DEFAULT_MEMORY_BYTES, loadTokenizer, type Model } from '../model/index.js';
import {
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
import { openSurveyed } from './opened.js';
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
  const { model, shed, name, folder } = await openSurveyed(options);
  try {
    const graph = plateGraph(model.decoder);
    const kinds = kindsOf(graph, options.kinds);
    const metricName = options.metric ?? (options.calibration === undefined ? 'magnitude' : 'activation');
    const metric = await metrics.load(metricName);
    refuseWithoutText(metric, metricName, options);
    const passages = await readText(model, folder, options);
    const { sums, ...found } = await lookAt(model, { graph, metric, passages }, options);
    const ranked = scoreRanges(graph, kinds, sums, metricName);
    const ends = defaultProtected(graph);
    const { protectFirst = ends, protectLast = ends, target, shards = 1 } = options;
    const protections = new Protections(
      await protectPlates(
        model,
        graph,
        { ranked, activities: found.activities, shed },
        { first: protectFirst, last: protectLast, shards, ...(target && { target }) },
      ),
    );
    const levels = shedLevels(ranked.map((entry) => ({ ...entry, releases: protections.releases(entry.range) })));
    const { redundancies } = found;
    return await use({
      name,
      model,
      graph,
      metric: metricName,
      kinds,
      ranked,
      levels,
      protections,
      redundancies,
      shed,
    });
  } finally {
    await model.checkpoint.close();
  }
}

async function lookAt(
  model: Model,
  what: {
    readonly graph: PlateGraph;
    readonly metric: ImportanceMetric;
    readonly passages: readonly { readonly ids: Int32Array }[];
  },
  { device: choice = 'auto', threads, report = silent, signal, memoryBytes = DEFAULT_MEMORY_BYTES }: SurveyOptions,
): Promise<BlockSurvey> {
  const device = await openDevice(choice, threads === undefined ? {} : { threads });
  const spillFolder = await mkdtemp(path.join(tmpdir(), 'birdbone-plates-'));
  const found = { sums: new Map(), activities: [], redundancies: [] } as {
    sums: Map<string, BlockSurvey['sums'] extends ReadonlyMap<string, infer Sums> ? Sums : never>;
    activities: BlockSurvey['activities'][number][];
    redundancies: BlockSurvey['redundancies'][number][];
  };
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
    for await (const { sums, activities, redundancies } of surveyModel(context)) {
      for (const [name, sum] of sums) found.sums.set(name, sum);
      found.activities.push(...activities);
      found.redundancies.push(...redundancies);
    }
    return found;
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

function refuseWithoutText(metric: ImportanceMetric, name: string, { calibration }: SurveyOptions): void {
  if (!needsText(metric) || calibration !== undefined) return;
  throw new BirdboneError(
    'usage',
    `The metric ${name} looks at what a text does in the model, and there is no calibration text.`,
    {
      suggestions: ['Give a text file: --calibration FILE', 'Score by the weights alone: --metric magnitude'],
    },
  );
}

async function readText(model: Model, folder: string, { calibration }: SurveyOptions) {
  if (calibration === undefined) return [];
  const tokenizer = await loadTokenizer(folder);
  const { maxContext } = model.decoder;
  return (await readCalibration(calibration.file, tokenizer, { ...calibration, maxContext })).passages;
}
