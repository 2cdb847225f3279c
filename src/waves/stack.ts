import { type Layer, overlay } from '../checkpoint/index.js';
import { type CodedView, decodedView } from '../coding/index.js';
import { describedModel, type Model, withCacheScales, withCheckpoint } from '../model/index.js';
import { type Marks, plateGraph } from '../plates/index.js';
import { cutModel } from '../shedding/index.js';
import { marksOfWaves } from './marks.js';
import type { WaveLayer } from './session.js';

/** A model through layers. Its checkpoint shows dense weights; `raw` has what is stored, codes and their parts. */
export interface StackedModel extends Model {
  readonly checkpoint: CodedView;
}

/** A layer of a wave, or one in memory over the base's shapes. */
export type StackableLayer = Layer & Partial<Pick<WaveLayer, 'wave' | 'shapes' | 'plates' | 'cacheScales'>>;

/**
 * The model through layers, in their order. Where some are of final shapes, the plates that the others have shed are cut out first,
 * and those lie over what is left; otherwise shed plates are zero in it. Closing its checkpoint closes the model's.
 */
export async function stacked(model: Model, layers: readonly StackableLayer[]): Promise<StackedModel> {
  const full = layers.filter(({ shapes }) => shapes !== 'final');
  const final = layers.filter(({ shapes }) => shapes === 'final');
  const below = await through(model, full);
  if (final.length === 0) return below;
  const seen = await through(await cutOf(below, full), final);
  const scales = final.findLast(({ cacheScales }) => cacheScales !== undefined)?.cacheScales;
  return { ...withCacheScales(seen, scales), checkpoint: seen.checkpoint };
}

/** The model as publishing and exporting write it: through its layers, and without the plates that they have shed. */
export async function finalModel(model: Model, layers: readonly StackableLayer[]): Promise<StackedModel> {
  const seen = await stacked(model, layers);
  if (layers.some(({ shapes }) => shapes === 'final')) return seen;
  return through(await cutOf(seen, layers), []);
}

/** Whether layers over these find the model with plates cut out. */
export function isCut(layers: readonly StackableLayer[]): boolean {
  return layers.some(({ plates }) => plates !== undefined);
}

async function through(model: Model, layers: readonly Layer[]): Promise<StackedModel> {
  const checkpoint = await decodedView(overlay(model.checkpoint, layers));
  return { ...withCheckpoint(model, checkpoint), checkpoint };
}

/** The model as it is loaded without the plates that these layers have shed. */
async function cutOf(model: Model, layers: readonly StackableLayer[]): Promise<Model> {
  const view = await cutModel(model, marksOfLayers(model, layers));
  return view === model.checkpoint ? model : describedModel(view);
}

function marksOfLayers({ decoder }: Model, layers: readonly StackableLayer[]): Marks {
  const shedding = layers.flatMap(({ wave = 0, plates }) => (plates === undefined ? [] : [{ wave, plates }]));
  return marksOfWaves(shedding, () => plateGraph(decoder));
}
