import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type ClusteringContext, clusterPopulation, describeModel, populationNames } from '../clustering/index.js';
import { silent } from '../events.js';
import { DEFAULT_MEMORY_BYTES, type Model } from '../model/index.js';
import { type Device, openDevice } from '../tensor/index.js';
import type { GroupOptions } from './options.js';
import type { PopulationRecord } from './record.js';
import { recordOf } from './record-of.js';
import { type PopulationView, viewOf } from './view.js';

/** Windows of tokens; none: by the weights alone. */
export type Windows = readonly { readonly ids: Int32Array }[];

/** The clusters of a model's neurons. */
export interface GroupedModel {
  readonly populations: readonly PopulationRecord[];
  /** Of those that are drawn. */
  readonly views: readonly PopulationView[];
}

/** Populations that a picture holds: of more, one in every two, three and so on. */
const MOST_DRAWN = 8;

/** Opens a device and a folder for what does not fit into memory, and closes both whatever `use` does. */
export async function withDevice<Result>(
  { device: choice = 'auto', threads, report = silent, ...options }: GroupOptions,
  use: (context: Omit<ClusteringContext, 'calibration'>) => Promise<Result>,
): Promise<Result> {
  const device: Device = await openDevice(choice, threads === undefined ? {} : { threads });
  const spillFolder = await mkdtemp(path.join(tmpdir(), 'birdbone-cluster-'));
  const { memoryBytes = DEFAULT_MEMORY_BYTES, signal } = options;
  try {
    for (const message of device.notices) report({ type: 'notice', message });
    return await use({ device, memoryBytes, spillFolder, report, ...(signal && { signal }) });
  } finally {
    await rm(spillFolder, { recursive: true, force: true });
    await device.close();
  }
}

/** Clusters every population of a model. What its neurons were described by is gone when this returns. */
export async function groupModel(
  model: Model,
  options: Pick<
    GroupOptions,
    | 'by'
    | 'seed'
    | 'neurons'
    | 'method'
    | 'k'
    | 'linkage'
    | 'depth'
    | 'epsilon'
    | 'minPoints'
    | 'bootstraps'
    | 'picture'
  >,
  context: ClusteringContext,
): Promise<GroupedModel> {
  const { by, seed, neurons: kind, bootstraps, picture } = options;
  const names = populationNames(model.decoder.blocks, kind);
  const every = Math.ceil(names.length / MOST_DRAWN);
  const populations: PopulationRecord[] = [];
  const views: PopulationView[] = [];
  const { signal, report } = context;
  for await (const population of describeModel(model, { kind, by, seed }, context)) {
    const clustered = await clusterPopulation(population, options, {
      ...(bootstraps !== undefined && { bootstraps }),
      ...(signal && { signal }),
    });
    const index = populations.length;
    populations.push(recordOf(clustered));
    const view = picture !== undefined && index % every === 0 ? viewOf(clustered) : undefined;
    if (view !== undefined) views.push(view);
    report({ type: 'progress', stage: 'cluster', done: index + 1, total: names.length, unit: 'populations' });
  }
  return { populations, views };
}
