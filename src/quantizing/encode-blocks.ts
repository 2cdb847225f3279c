import { BirdboneError, stopIfAborted } from '../errors.js';
import { collectEvidence } from '../evidence/index.js';
import { encoderOn, openRowEncoder, type RowEncoder } from '../ggml/index.js';
import { disposeBlock, type HiddenStates, type LinearInput, loadBlock } from '../model/index.js';
import { calibrationStates, type EditContext } from '../pruning/index.js';
import { decodeToF32, encodeFromF32 } from '../tensor/index.js';
import type { MatrixForm } from './forms.js';
import { addErrors, type WrittenMatrix } from './layer-sink.js';

/** Values that are encoded at a time: 16 MiB of float32. */
const STRIP_VALUES = 4 * 2 ** 20;

/**
 * Writes matrices in ggml's blocks into the context's layer. With a calibration text, an error in a column counts by the mean square
 * of what the column is multiplied with in the model as it is: llama.cpp's importance matrix. One block's weights are resident. A GPU
 * encodes what it has a kernel for.
 */
export async function encodeBlocks(forms: readonly MatrixForm[], context: EditContext): Promise<WrittenMatrix[]> {
  const { model, device, report, signal, calibration } = context;
  const states = calibration.length > 0 ? await calibrationStates(context) : undefined;
  const total = model.decoder.blocks.length;
  const written: WrittenMatrix[] = [];
  const encoder = encoderOn(device, openRowEncoder());
  const encodeAll = async (matrices: readonly MatrixForm[], weights: ColumnWeights) => {
    for (const matrix of matrices) {
      if (matrix.form.kind !== 'blocks') continue;
      stopIfAborted(signal);
      const importance = matrix.spec && weights.get(matrix.spec.input);
      written.push(await encodeMatrix(matrix, { encoder, weights: importance }, context));
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
    await encoder.close();
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
  { encoder, weights }: { readonly encoder: RowEncoder; readonly weights: Float32Array | undefined },
  { model, writer }: EditContext,
): Promise<WrittenMatrix> {
  if (form.kind !== 'blocks') throw new RangeError(`${weight} is not to be stored in blocks.`);
  const { dtype: from, byteLength } = model.checkpoint.tensors.get(weight)!;
  const rowBytes = byteLength / rows;
  const step = Math.max(1, Math.floor(STRIP_VALUES / columns));
  let sums = { error: 0, norm: 0 };
  let offset = 0;
  for (let start = 0; start < rows; start += step) {
    const read = { offset: start * rowBytes, length: Math.min(step, rows - start) * rowBytes };
    const stored = await model.checkpoint.read(weight, read);
    const values = decodeToF32(stored, from);
    const job = { bytes: stored, from, columns, ...(weights && { weights }) };
    const bytes =
      form.dtype === 'F16'
        ? encodeFromF32(values, 'F16')
        : await naming(weight, encoder.encode({ ...job, to: form.dtype }));
    await writer.writeValues(weight, offset, bytes);
    offset += bytes.length;
    sums = addErrors(sums, values, decodeToF32(bytes, form.dtype));
  }
  const error = sums.norm === 0 ? 0 : Math.sqrt(sums.error / sums.norm);
  return { weight, algorithm: weights === undefined ? 'blocks' : 'weighted-blocks', error };
}

/** What an encoder refuses, with the tensor's name. */
async function naming(tensor: string, encoded: Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await encoded;
  } catch (error) {
    if (!(error instanceof BirdboneError)) throw error;
    const { code, message, suggestions } = error;
    throw new BirdboneError(code, `${tensor}: ${message}`, { suggestions, tensor, cause: error });
  }
}
