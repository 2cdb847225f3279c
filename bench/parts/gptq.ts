import { type Checkpoint, readFloats } from '../../src/checkpoint/index.js';
import { measureJobs, type PeerJob, type Results, renderJobs } from '../peer-jobs.js';
import { partOf } from './part.js';

const GROUP_COLUMNS = 128;
/** Between the errors ‖W − Ŵ‖ / ‖W‖ of one matrix: the same algorithm in other roundings. */
const MOST_APART = 0.01;

const GPTQ: PeerJob = {
  script: 'gptq.py',
  command: ['quantize', '--scheme', 'int4', '--algorithm', 'gptq', '--group-size', String(GROUP_COLUMNS)],
  compare: compareCodes,
};

export default partOf(
  'A whole GPTQ job to INT4 in groups of 128 against PyTorch',
  (options) => measureJobs(GPTQ, options),
  renderJobs,
);

async function compareCodes({ dense, ours, theirs, weights }: Results): Promise<string> {
  let [elements, same, apart] = [0, 0, 0];
  for (const name of weights) {
    const values = await readFloats(dense, name);
    const [a, b] = [await codesOf(ours, name), await codesOf(theirs, name)];
    elements += values.length;
    for (let i = 0; i < values.length; i += 1) if (a.codes[i] === b.codes[i]) same += 1;
    apart = Math.max(apart, Math.abs(errorOf(values, a) / errorOf(values, b) - 1));
  }
  if (apart > MOST_APART) throw new Error(`The errors of a matrix are ${(100 * apart).toFixed(1)} % apart.`);
  const percent = (share: number) => `${(100 * share).toPrecision(3)} %`;
  return `${percent(same / elements)} of the codes are the same; the errors of a matrix, ‖W − Ŵ‖ / ‖W‖, are at most ${percent(apart)} apart.`;
}

interface Codes {
  /** 0 … 15, row after row. */
  readonly codes: Uint8Array;
  /** One for each group of columns. */
  readonly scales: Float32Array;
}

/** Eight codes in each int32, the first lowest: pack-quantized of compressed-tensors. */
async function codesOf(checkpoint: Checkpoint, name: string): Promise<Codes> {
  const bytes = await checkpoint.read(`${name}_packed`);
  const codes = new Uint8Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i += 1) {
    codes[2 * i] = bytes[i]! & 15;
    codes[2 * i + 1] = bytes[i]! >>> 4;
  }
  return { codes, scales: await readFloats(checkpoint, `${name}_scale`) };
}

function errorOf(values: Float32Array, { codes, scales }: Codes): number {
  let [error, norm] = [0, 0];
  for (let i = 0; i < values.length; i += 1) {
    const value = (codes[i]! - 8) * scales[Math.floor(i / GROUP_COLUMNS)]!;
    error += (values[i]! - value) ** 2;
    norm += values[i]! ** 2;
  }
  return Math.sqrt(error / norm);
}
