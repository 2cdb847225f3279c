import path from 'node:path';
import { type FileKind, outputFileFormat, writeFileDurably } from '../checkpoint/index.js';
import { checkDescribable, populationNames } from '../clustering/index.js';
import { checkSettings, clusterings } from '../clusters/index.js';
import { type Calibration, readCalibration } from '../corpus/index.js';
import { BirdboneError } from '../errors.js';
import { hashCheckpoint } from '../manifest/index.js';
import { loadTokenizer, type Model, openModel, withCheckpoint } from '../model/index.js';
import { openState, parseReference, readLog } from '../waves/index.js';
import { CLUSTER_FORMATS, type ClusterFormat, type ClusterHeader, writeClusters } from './cluster-file.js';
import { checkShared, comparePopulations, type PopulationComparison } from './compare.js';
import { type GroupedModel, groupModel, type Windows, withDevice } from './group-model.js';
import type { GroupOptions } from './options.js';
import { type EarlierClusters, readClusters } from './read-clusters.js';
import type { PopulationRecord } from './record.js';
import { type ClusteredState, historiesOf, type PopulationHistory } from './wave-history.js';

/** A population without what is there for each neuron; `gone` is their number. */
export type PopulationSummary = Omit<PopulationRecord, 'assignments' | 'gone'> & { readonly gone: number };

/** What was clustered; the cluster of each neuron is in the file. */
export interface GroupResult extends ClusterHeader {
  readonly out: string;
  readonly picture?: string;
  readonly written: boolean;
  readonly populations: readonly PopulationSummary[];
  readonly comparisons?: readonly PopulationComparison[];
  readonly waves?: readonly PopulationHistory[];
}

const CLUSTER_FILE: FileKind<ClusterFormat> = { name: 'cluster', flag: '--out', formats: CLUSTER_FORMATS };
const PICTURE_FILE: FileKind<'html' | 'svg'> = { name: 'picture', flag: '--picture', formats: ['html', 'svg'] };

/**
 * Clusters the neurons of a model, or of every state of a run, and writes them. Throws `usage` before any work is done: for a setting
 * that cannot be, and for neurons that the model does not have.
 */
export async function groupNeurons(options: GroupOptions): Promise<GroupResult> {
  const format = await outputFileFormat(options.out, CLUSTER_FILE);
  const drawing = options.picture === undefined ? undefined : await outputFileFormat(options.picture, PICTURE_FILE);
  await checkMethod(options);
  const states = await statesOf(options);
  const earlier = options.compare === undefined ? undefined : await readClusters(options.compare);
  const opened = await openGrouped(states.at(-1)!.reference, options);
  try {
    checkNeurons(opened.model, options);
    if (earlier) checkShared(options.compare!, earlier, populationNames(opened.model.decoder.blocks, options.neurons));
    const calibration = await readText(opened, options);
    checkDescribable(opened.model, options.by, calibration?.passages.length ?? 0);
    const header = await headerOf(opened, calibration, options);
    const files = { out: options.out, ...(options.picture !== undefined && { picture: options.picture }) };
    if (options.dryRun) return { ...header, ...files, written: false, populations: [] };
    const found = await groupStates(opened, { states, windows: calibration?.passages ?? [], earlier }, options);
    await writeClusters(options.out, format, { header, ...found });
    if (drawing !== undefined) await draw(options.picture!, drawing, { header, ...found });
    const { populations, comparisons, history } = found;
    return {
      ...header,
      ...files,
      written: true,
      populations: populations.map(({ assignments: _, gone, ...rest }) => ({ ...rest, gone: gone.length })),
      ...(comparisons && { comparisons }),
      ...(history && { waves: history }),
    };
  } finally {
    await opened.model.checkpoint.close();
  }
}

async function checkMethod({ method, k, depth, linkage, epsilon, minPoints, seed }: GroupOptions): Promise<void> {
  const chosen = {
    method,
    seed,
    ...(k !== 'auto' && { k }),
    ...(depth !== undefined && { depth }),
    ...(linkage !== undefined && { linkage }),
    ...(epsilon !== undefined && { epsilon }),
    ...(minPoints !== undefined && { minPoints }),
  };
  checkSettings(chosen, await clusterings.load(method), false);
}

interface StateName {
  readonly wave: number;
  readonly reference: string;
}

/** The states to look at, in order, the last of which the file is about. Throws `usage` for an output without a history. */
async function statesOf({ model, overWaves, state }: GroupOptions): Promise<StateName[]> {
  if (!overWaves) return [{ wave: 0, reference: model }];
  const { history } = await readLog({ out: model, ...(state !== undefined && { state }) });
  const kept = history.waves.filter(({ active }) => active).map(({ wave }) => wave);
  return [0, ...kept].map((wave) => ({ wave, reference: `${model}@${wave}` }));
}

interface OpenedModel {
  readonly model: Model;
  readonly name: string;
  /** What its tokenizer is loaded from. */
  readonly folder: string;
}

/** A state of a run is seen at the shape of its base: what was shed is there, at zero. The caller closes the model's checkpoint. */
async function openGrouped(reference: string, { state }: GroupOptions): Promise<OpenedModel> {
  if (parseReference(reference).kind === 'path') {
    const model = await openModel(reference);
    return { model, name: path.basename(path.resolve(reference)), folder: reference };
  }
  const { checkpoint, name, origin } = await openState(reference, state === undefined ? {} : { state });
  const { base } = origin!;
  return { model: withCheckpoint(base.model, checkpoint), name, folder: base.path };
}

function checkNeurons({ decoder, checkpoint }: Model, { neurons }: GroupOptions): void {
  if (decoder.refusal !== undefined || populationNames(decoder.blocks, neurons).length > 0) return;
  throw new BirdboneError('usage', `The model has no ${neurons} to cluster.`, {
    file: checkpoint.path,
    suggestions: ['Cluster the output rows of its matrices: --neurons rows'],
  });
}

async function readText({ folder, model }: OpenedModel, options: GroupOptions): Promise<Calibration | undefined> {
  const { calibration, report } = options;
  if (calibration === undefined) return undefined;
  const tokenizer = await loadTokenizer(folder);
  const { maxContext } = model.decoder;
  const read = await readCalibration(calibration.file, tokenizer, { ...calibration, maxContext });
  for (const message of read.notices ?? []) report?.({ type: 'notice', message });
  return read;
}

async function headerOf(
  { model, name }: OpenedModel,
  calibration: Calibration | undefined,
  options: GroupOptions,
): Promise<ClusterHeader> {
  const { neurons, by, method, k, linkage, depth, epsilon, minPoints, seed, report, signal } = options;
  const { weights } = await hashCheckpoint(model.checkpoint, { ...(report && { report }), ...(signal && { signal }) });
  return {
    model: name,
    weights,
    neurons,
    by,
    method,
    k,
    ...(linkage !== undefined && { linkage }),
    ...(depth !== undefined && { depth }),
    ...(epsilon !== undefined && { epsilon }),
    ...(minPoints !== undefined && { minPoints }),
    seed,
    ...(calibration && { calibration: { ...options.calibration!, sha256: calibration.source.sha256 } }),
  };
}

interface Grouped extends GroupedModel {
  readonly comparisons?: readonly PopulationComparison[];
  readonly history?: readonly PopulationHistory[];
}

function groupStates(
  opened: OpenedModel,
  what: {
    readonly states: readonly StateName[];
    readonly windows: Windows;
    readonly earlier: EarlierClusters | undefined;
  },
  options: GroupOptions,
): Promise<Grouped> {
  const { states, windows: calibration, earlier } = what;
  return withDevice(options, async (device) => {
    const context = { ...device, calibration };
    const before: ClusteredState[] = [];
    for (const { wave, reference } of states.slice(0, -1)) {
      const { model } = await openGrouped(reference, options);
      try {
        before.push({
          wave,
          populations: (await groupModel(model, { ...options, bootstraps: 0 }, context)).populations,
        });
      } finally {
        await model.checkpoint.close();
      }
    }
    const now = await groupModel(opened.model, options, context);
    const last = { wave: states.at(-1)!.wave, populations: now.populations };
    return {
      ...now,
      ...(earlier && { comparisons: comparePopulations(options.compare!, earlier, now.populations) }),
      ...(options.overWaves && { history: historiesOf([...before, last]) }),
    };
  });
}

async function draw(
  file: string,
  format: 'html' | 'svg',
  drawn: Grouped & { readonly header: ClusterHeader },
): Promise<void> {
  const { clusterPicture } = await import('./cluster-picture.js');
  const { page, sheet } = await import('../pictures/index.js');
  const picture = await clusterPicture(drawn.header, drawn);
  await writeFileDurably(file, format === 'html' ? page(picture) : sheet(picture));
}
