import { collectGradients, type GradientKind } from '../evidence/index.js';
import type { ImportanceMetric } from '../importance/index.js';
import { createArrays, type Model, type SpillableArrays } from '../model/index.js';
import type { EditContext } from './edit.js';

/** What is known of one linear's weights, [rows, columns] on the host; the fields of `Evidence` of the same name. */
export type WeightEvidence = { readonly [kind in GradientKind]?: Float32Array };

/** Gradients of every linear of a model, kept until they are asked for. */
export interface GradientEvidence {
  of(weight: string): Promise<WeightEvidence>;
  /** Drops everything; the file too. */
  close(): Promise<void>;
}

/**
 * Collects the gradients of the model as it is, for a metric with these `needs`; undefined where it needs none. A backward pass
 * gives them from the last block to the first, and scoring wants them from the first on: they lie in memory or, above
 * `memoryBytes`, in a file of 4 bytes for each weight and kind. The caller closes them.
 */
export async function gradientEvidence(
  needs: ImportanceMetric['needs'],
  context: Pick<EditContext, 'model' | 'device' | 'calibration' | 'memoryBytes' | 'spillFolder' | 'report' | 'signal'>,
): Promise<GradientEvidence | undefined> {
  const kinds = (['gradient', 'fisher'] as const).filter((kind) => needs.includes(kind));
  if (kinds.length === 0) return undefined;
  const { model, calibration, report } = context;
  const { places, lengths } = placesOf(model, kinds);
  const arrays = await createArrays(lengths, context);
  const onBlock = (done: number, total: number) =>
    report({ type: 'progress', stage: 'gradients', done, total, unit: 'blocks' });
  try {
    for await (const { weights } of collectGradients(model, calibration, new Set(kinds), { ...context, onBlock })) {
      for (const [weight, gradients] of weights) {
        for (const kind of kinds) await arrays.store(places.get(`${kind} ${weight}`)!, gradients[kind]!);
      }
    }
  } catch (error) {
    await arrays.close();
    throw error;
  }
  return { of: (weight) => load(arrays, { places, kinds }, weight), close: () => arrays.close() };
}

async function load(
  arrays: SpillableArrays,
  { places, kinds }: { readonly places: ReadonlyMap<string, number>; readonly kinds: readonly GradientKind[] },
  weight: string,
): Promise<WeightEvidence> {
  const loaded: { [kind in GradientKind]?: Float32Array } = {};
  for (const kind of kinds) loaded[kind] = await arrays.load(places.get(`${kind} ${weight}`)!);
  return loaded;
}

/** Which array holds which kind of gradient of which weight. */
function placesOf(model: Model, kinds: readonly GradientKind[]) {
  const places = new Map<string, number>();
  const lengths: number[] = [];
  for (const { weight, rows, columns } of model.decoder.blocks.flatMap((block) => block.linears)) {
    for (const kind of kinds) {
      places.set(`${kind} ${weight}`, lengths.length);
      lengths.push(rows * columns);
    }
  }
  return { places, lengths };
}
