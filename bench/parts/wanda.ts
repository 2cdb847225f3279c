import { readFloats } from '../../src/checkpoint/index.js';
import { measureJobs, type PeerJob, type Results, renderJobs } from '../peer-jobs.js';
import { partOf } from './part.js';

/** Of the masks' bits: scores that differ in their last digits change places only where they are next to each other. */
const MOST_DIFFERING = 1e-3;

const WANDA: PeerJob = {
  script: 'wanda.py',
  command: ['prune', '--sparsity', '50%', '--waves', '1'],
  compare: compareMasks,
};

export default partOf(
  'A whole Wanda job at 50 % against PyTorch',
  (options) => measureJobs(WANDA, options),
  renderJobs,
);

async function compareMasks({ ours, theirs, weights }: Results): Promise<string> {
  let [elements, differing] = [0, 0];
  for (const name of weights) {
    const [a, b] = [await readFloats(ours, name), await readFloats(theirs, name)];
    elements += a.length;
    for (let i = 0; i < a.length; i += 1) if ((a[i] === 0) !== (b[i] === 0)) differing += 1;
  }
  const share = differing / elements;
  if (share > MOST_DIFFERING) throw new Error(`${differing} of ${elements} mask bits differ.`);
  return `Of ${elements.toLocaleString('en-US')} mask bits, ${differing.toLocaleString('en-US')} differ: neighbours in the order of a row whose scores differ in their last digits.`;
}
