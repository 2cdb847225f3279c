import { type Layer, overlay } from '../checkpoint/index.js';
import { type CodedView, decodedView } from '../coding/index.js';
import { describedModel, type Model } from '../model/index.js';
import { type Marks, plateGraph } from '../plates/index.js';
import { cutModel } from '../shedding/index.js';
import { marksOfWaves } from './marks.js';
import type { WaveLayer } from './session.js';

/** A model through layers. Its checkpoint shows dense weights; `raw` has what is stored, codes and their parts. */
export interface StackedModel extends Model {
  readonly checkpoint: CodedView;
}

/** A layer of a wave, or one in memory over the base's shapes. */
export type StackableLayer = Layer & Partial<Pick<WaveLayer, 'wave' | 'shapes' | 'plates'>>;

/**
 * The model through layers, in their order. Where some are of final shapes, the plates that the others have shed are cut out first,
 * and those lie over what is left; otherwise shed plates are zero in it. Closing its checkpoint closes the model's.
 */
export async function stacked(model: Model, layers: readonly StackableLayer[]): Promise<StackedModel> {
  const full = layers.filter(({ shapes }) => shapes !== 'final');
  const final = layers.filter(({ shapes }) => shapes === 'final');
  const below = await through(model, full);
  return final.length === 0 ? below : through(await cutOf(below, full), final);
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
  const isNew = (name: string) => checkpoint.tensors.has(name) && !model.checkpoint.tensors.has(name);
  const hasMore = layers.some(({ added }) => [...added.keys()].some(isNew));
  // Biases that a wave added are part of what the model computes.
  const { decoder } = hasMore && model.decoder.refusal === undefined ? await describedModel(checkpoint) : model;
  return { ...model, decoder, checkpoint };
}

/** The model as it is loaded without the plates that these layers have shed. */
async function cutOf(model: Model, layers: readonly StackableLayer[]): Promise<Model> {
  const marks = marksOfLayers(model, layers);
  if (marks.isEmpty) return model;
  return describedModel(await cutModel(model, marks));
}

function marksOfLayers({ decoder }: Model, layers: readonly StackableLayer[]): Marks {
  const shedding = layers.flatMap(({ wave = 0, plates }) => (plates === undefined ? [] : [{ wave, plates }]));
  return marksOfWaves(shedding, () => plateGraph(decoder));
}
