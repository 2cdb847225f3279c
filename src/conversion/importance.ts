import path from 'node:path';
import { type Checkpoint, elementsOf, type GgufValue } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { columnWeights, readImatrix } from '../imatrix/index.js';
import { rowsOf } from './block-types.js';

/** How much an error in each column counts, for the tensors of one GGUF. */
export interface Importance {
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** What llama.cpp's own quantization notes in the file. */
  readonly metadata: readonly (readonly [string, GgufValue])[];
}

/**
 * Reads an importance matrix and holds it against the model. Throws `unreadable` as `readImatrix`, and `mismatch` where it says something
 * of a tensor of another width or of none of the tensors.
 */
export async function loadImportance(file: string, gguf: Checkpoint): Promise<Importance> {
  const imatrix = await readImatrix(file);
  const weights = new Map<string, Float32Array>();
  for (const [name, entry] of imatrix.entries) {
    const info = gguf.tensors.get(name);
    if (info === undefined) continue;
    const { columns } = rowsOf(info);
    const matrices = elementsOf(info.shape.slice(0, -2));
    if (entry.sums.length !== columns * matrices) {
      const found = `${entry.sums.length} columns of ${name}, which has ${columns * matrices}`;
      throw mismatch(file, `is of another model: it knows ${found}`, name);
    }
    weights.set(name, columnWeights(entry));
  }
  if (weights.size === 0) throw mismatch(file, 'says nothing of any tensor of the model');
  return {
    weights,
    metadata: [
      ['quantize.imatrix.file', { type: 'string', value: path.basename(file) }],
      ...(imatrix.datasets.length === 0
        ? []
        : [['quantize.imatrix.dataset', { type: 'string', value: imatrix.datasets[0]! }] as const]),
      ['quantize.imatrix.entries_count', { type: 'u32', value: imatrix.entries.size }],
      ['quantize.imatrix.chunks_count', { type: 'u32', value: imatrix.chunks }],
    ],
  };
}

function mismatch(file: string, problem: string, tensor?: string): BirdboneError {
  return new BirdboneError('mismatch', `The importance matrix ${file} ${problem}.`, {
    file,
    ...(tensor !== undefined && { tensor }),
    suggestions: ['Measure one on this model: birdbone imatrix'],
  });
}
