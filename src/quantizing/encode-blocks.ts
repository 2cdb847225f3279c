import { readFloats } from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import { collectEvidence } from '../evidence/index.js';
import { encodeRows } from '../ggml/index.js';
import { disposeBlock, type HiddenStates, type LinearInput, loadBlock } from '../model/index.js';
import { calibrationStates, type EditContext } from '../pruning/index.js';
import { decodeToF32, encodeFromF32 } from '../tensor/index.js';
import type { MatrixForm } from './forms.js';
import { addErrors, type WrittenMatrix } from './layer-sink.js';

/** Values that are encoded at a time: 16 MiB of float32. */
const STRIP_VALUES = 4 * 2 ** 20;

/**
 * Writes matrices in ggml's blocks into the context's layer. With a calibration text, an error in a column counts by the mean square
 * of what the column is multiplied with in the model as it is: llama.cpp's importance matrix. One block's weights are resident.
 */
export async function encodeBlocks(forms: readonly MatrixForm[], context: EditContext): Promise<WrittenMatrix[]> {
  const { model, report, signal, calibration } = context;
  const states = calibration.length > 0 ? await calibrationStates(context) : undefined;
  const total = model.decoder.blocks.length;
  const written: WrittenMatrix[] = [];
  const encodeAll = async (matrices: readonly MatrixForm[], weights: ColumnWeights) => {
    for (const matrix of matrices) {
      if (matrix.form.kind !== 'blocks') continue;
      stopIfAborted(signal);
      written.push(await encodeMatrix(matrix, matrix.spec && weights.get(matrix.spec.input), context));
    }
  };
  try {
    for (let index = 0; index < total; index += 1) {
      const weights = states === undefined ? NONE : await columnWeights(index, states, context);
      await encodeAll(
        forms.filter(({ block }) => block === index),
        weights,
      );
      report({ type: 'progress', stage: 'quantize', done: index + 1, total, unit: 'blocks' });
    }
    await encodeAll(
      forms.filter(({ block }) => block === undefined),
      NONE,
    );
  } finally {
    await states?.close();
  }
  return written;
}

type ColumnWeights = ReadonlyMap<LinearInput, Float32Array>;
const NONE: ColumnWeights = new Map();

/** Mean squares of the inputs of a block's linears, [columns]; the states go on to the next block. */
async function columnWeights(
  index: number,
  states: HiddenStates,
  { model, device, signal }: EditContext,
): Promise<ColumnWeights> {
  const block = await loadBlock(model, index, device);
  try {
    const options = { device, store: true, ...(signal && { signal }) };
    const evidence = await collectEvidence(block, states, new Set(['norms'] as const), options);
    try {
      const weights = new Map<LinearInput, Float32Array>();
      for (const input of evidence.inputs) {
        const tokens = evidence.tokensOf(input);
        // An expert that no token came to tells nothing of its columns.
        if (tokens === 0) continue;
        const norms = await device.read(evidence.normsOf(input));
        weights.set(
          input,
          Float32Array.from(norms, (norm) => (norm * norm) / tokens),
        );
      }
      return weights;
    } finally {
      evidence.dispose();
    }
  } finally {
    disposeBlock(block);
  }
}

async function encodeMatrix(
  { weight, rows, columns, form }: MatrixForm,
  weights: Float32Array | undefined,
  { model, writer }: EditContext,
): Promise<WrittenMatrix> {
  if (form.kind !== 'blocks') throw new RangeError(`${weight} is not to be stored in blocks.`);
  const step = Math.max(1, Math.floor(STRIP_VALUES / columns));
  let sums = { error: 0, norm: 0 };
  let offset = 0;
  for (let start = 0; start < rows; start += step) {
    const values = await readFloats(model.checkpoint, weight, { start, count: Math.min(step, rows - start) });
    const bytes =
      form.dtype === 'F16' ? encodeFromF32(values, 'F16') : encodeRows(form.dtype, values, columns, weights);
    await writer.writeValues(weight, offset, bytes);
    offset += bytes.length;
    sums = addErrors(sums, values, decodeToF32(bytes, form.dtype));
  }
  const error = sums.norm === 0 ? 0 : Math.sqrt(sums.error / sums.norm);
  return { weight, algorithm: weights === undefined ? 'blocks' : 'weighted-blocks', error };
}
