import type { TensorInfo } from '../../checkpoint/index.js';
import type { ProposalDetails } from '../../pruning/index.js';
import { describeForm, type MatrixForm } from '../forms.js';

/** Recipe, base, versions, texts, and the figures of dense model and result: 3.1 kB with short names of files. */
const FIXED_BYTES = 4096;
/** Verdict and figures of one wave with their intervals (1.4 kB), and a row of what its budget came to. */
const WAVE_BYTES = 2048;
/** An object two levels deep in the manifest's own. */
const TENSOR_DEPTH = 1;
/** A row in `waves[i].details.quantized`. */
const ROW_DEPTH = 4;
/** As long as numbers are written: 17 digits, a sign and an exponent. */
const LONGEST_NUMBER = -1.234_567_890_123_456_7e-101;

/**
 * The most bytes that birdbone.json takes inside a GGUF, whose figures nobody knows before they are measured: what is said of each
 * tensor and matrix is counted with numbers of the greatest length, the rest as much as is usual and a third more.
 */
export function manifestBytes(
  tensors: Iterable<TensorInfo>,
  forms: readonly MatrixForm[],
  earlier: readonly ProposalDetails[],
): number {
  const hashed = [...tensors].map(({ name, dtype, shape }) => ({ name, dtype, shape, sha256: '0'.repeat(64) }));
  const rows = forms.map(({ weight, rows: height, columns, form }) => ({
    weight,
    rows: height,
    columns,
    form: describeForm(form),
    bits: LONGEST_NUMBER,
    algorithm: 'weighted-blocks',
    error: LONGEST_NUMBER,
  }));
  const before = earlier.reduce((sum, details) => sum + WAVE_BYTES + textBytes(details, ROW_DEPTH - 1), 0);
  return FIXED_BYTES + WAVE_BYTES + textBytes(hashed, TENSOR_DEPTH) + textBytes(rows, ROW_DEPTH) + before;
}

/** Bytes of an object as JSON in lines that are indented so much deeper. */
function textBytes(value: object, depth: number): number {
  const text = JSON.stringify(value, undefined, 2);
  return Buffer.byteLength(text) + 2 * depth * text.split('\n').length;
}
