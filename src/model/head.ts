import type { Device, Matrix } from '../tensor/index.js';
import type { Model } from './decoder.js';
import { loadMatrix, type MatrixLoading } from './matrix-loading.js';
import { loadNorm, type Norm } from './norm.js';

/** Uploads the norm between the last block and the head; the caller disposes it (`disposeNorm`). */
export function loadFinalNorm({ checkpoint, decoder }: Model, device: Device): Promise<Norm> {
  const { finalNorm: gain, finalNormBias: bias, norm: kind, normEpsilon: epsilon } = decoder;
  return loadNorm(checkpoint, { gain, bias }, { kind, epsilon }, device);
}

/** Float32 bytes of one part of a head: what is read, widened and uploaded, and multiplied, at once. */
const PART_BYTES = 16 * 2 ** 20;
/** Heads up to this size stay on the device even where a block is smaller. */
const SMALL_HEADS_BYTES = 32 * 2 ** 20;

/** Consecutive rows of an output head, in parts of `rowsPerPart` (the last may be shorter). */
export interface HeadSection {
  readonly start: number;
  readonly count: number;
  readonly rowsPerPart: number;
}

/**
 * Splits the heads of models with one vocabulary into sections, of which as many rows as fit `limitBytes` for all the models
 * together (and at least one part) are on the device at a time. Unless given, the limit is what the models' largest block
 * takes: no block is there any more when the heads come, so that heads need no memory of their own. The parts do not depend on
 * the limit, and so neither do the results.
 */
export function headSections(
  models: readonly Pick<Model, 'decoder'>[],
  device: Device,
  limitBytes = Math.max(SMALL_HEADS_BYTES, ...models.map(largestBlockBytes)),
): HeadSection[] {
  const widths = models.map(({ decoder }) => decoder.hidden);
  const vocabulary = Math.min(...models.map(({ decoder }) => decoder.vocabulary));
  const partBytes = Math.min(PART_BYTES, device.maxTensorBytes);
  const rowsPerPart = Math.max(1, Math.floor(partBytes / (4 * Math.max(...widths))));
  const bytesPerPart = 4 * rowsPerPart * widths.reduce((sum, width) => sum + width, 0);
  const rowsPerSection = rowsPerPart * Math.max(1, Math.floor(limitBytes / bytesPerPart));
  const sections: HeadSection[] = [];
  for (let start = 0; start < vocabulary; start += rowsPerSection) {
    sections.push({ start, count: Math.min(rowsPerSection, vocabulary - start), rowsPerPart });
  }
  return sections;
}

function largestBlockBytes({ decoder }: Pick<Model, 'decoder'>): number {
  const sizes = decoder.blocks.map(({ linears }) =>
    linears.reduce((sum, { rows, columns }) => sum + rows * columns, 0),
  );
  return 4 * Math.max(0, ...sizes);
}

/**
 * The output head [vocabulary, hidden] on the device, or a section of it; the embedding's own tensor when they are tied.
 * Disposed by `disposeMatrix`.
 */
export function loadHead(
  model: Model,
  device: Device,
  section?: HeadSection,
  { asStored = false }: Pick<MatrixLoading, 'asStored'> = {},
): Promise<Matrix> {
  const { head, vocabulary, hidden } = model.decoder;
  const { start, count, rowsPerPart } = section ?? { start: 0, count: vocabulary, rowsPerPart: vocabulary };
  const loading = { firstRow: start, rowsPerPart, asStored };
  return loadMatrix(model.checkpoint, head, { rows: count, columns: hidden }, device, loading);
}
