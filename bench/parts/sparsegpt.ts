import { readFloats } from '../../src/checkpoint/index.js';
import { measureJobs, type PeerJob, type Results, renderJobs } from '../peer-jobs.js';
import { partOf } from './part.js';

/** Of the masks' bits: what goes in one block of columns decides what is left in all behind it. */
const MOST_DIFFERING = 0.05;

const SPARSEGPT: PeerJob = {
  script: 'sparsegpt.py',
  command: ['prune', '--sparsity', '50%', '--solver', 'sparsegpt', '--waves', '1'],
  compare: compareResults,
};

export default partOf(
  'A whole SparseGPT job at 50 % against PyTorch',
  ({ threads, blocks }) => measureJobs(SPARSEGPT, { threads, blocks }),
  renderJobs,
);

/** Rounding moves single weights across the threshold of a block, and the corrections behind them: results agree, bits do not. */
async function compareResults({ ours, theirs, weights }: Results): Promise<string> {
  let [elements, differing, squares, error] = [0, 0, 0, 0];
  for (const name of weights) {
    const [a, b] = [await readFloats(ours, name), await readFloats(theirs, name)];
    elements += a.length;
    for (let i = 0; i < a.length; i += 1) {
      if ((a[i] === 0) !== (b[i] === 0)) differing += 1;
      squares += b[i]! ** 2;
      error += (a[i]! - b[i]!) ** 2;
    }
  }
  const share = differing / elements;
  if (share > MOST_DIFFERING) throw new Error(`${differing} of ${elements} mask bits differ.`);
  return `${(100 * share).toFixed(2)} % of the mask bits differ; the weights differ by ${(100 * Math.sqrt(error / squares)).toFixed(2)} % of their norm.`;
}
