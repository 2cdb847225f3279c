import type { Decoder, LinearSpec } from '../model/index.js';
import type { BlockParts } from './block-parts.js';
import { storedShape } from './stored-slices.js';

/** A tensor of the whole model that has the hidden dimensions on one of its axes. */
export interface ModelTensor {
  readonly tensor: string;
  readonly shape: readonly number[];
  readonly hiddenAxis: 0 | 1;
  /** Rows are tokens of the vocabulary. */
  readonly tokens: boolean;
}

/** Embedding, positions, final norm and head. A tied head is the embedding's tensor, and is there once. */
export function modelTensors(decoder: Decoder): ModelTensor[] {
  const { hidden, vocabulary, maxContext, embedding, positions, finalNorm, finalNormBias, head } = decoder;
  const table = (tensor: string): ModelTensor => {
    return { tensor, shape: [vocabulary, hidden], hiddenAxis: 1, tokens: true };
  };
  const vector = (tensor: string): ModelTensor => ({ tensor, shape: [hidden], hiddenAxis: 0, tokens: false });
  return [
    table(embedding),
    ...(positions === undefined
      ? []
      : [{ tensor: positions, shape: [maxContext, hidden], hiddenAxis: 1, tokens: false } as const]),
    vector(finalNorm),
    ...(finalNormBias === undefined ? [] : [vector(finalNormBias)]),
    ...(head === embedding ? [] : [table(head)]),
  ];
}

/** The stored shape of every tensor that plates can have slices of. */
export function storedShapes(decoder: Decoder, blocks: readonly BlockParts[]): Map<string, readonly number[]> {
  const shapes = new Map(modelTensors(decoder).map(({ tensor, shape }) => [tensor, shape]));
  for (const parts of blocks) {
    const { attention, networks, router } = parts;
    for (const linear of attention?.linears ?? []) addLinear(shapes, linear);
    for (const linear of networks.flatMap(({ linears }) => linears)) addLinear(shapes, linear);
    if (router !== undefined) addLinear(shapes, router);
    for (const vector of parts.hiddenVectors) shapes.set(vector, [decoder.hidden]);
    for (const vector of parts.headVectors) shapes.set(vector, [attention?.headDim ?? decoder.headDim]);
  }
  return shapes;
}

function addLinear(shapes: Map<string, readonly number[]>, linear: LinearSpec): void {
  shapes.set(linear.weight, storedShape(linear));
  if (linear.bias !== undefined) shapes.set(linear.bias, [linear.rows]);
}
