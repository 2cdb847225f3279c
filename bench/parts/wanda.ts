import { readFloats } from '../../src/checkpoint/index.js';
import { measureJobs, type PeerJob, type Results, renderJobs } from '../peer-jobs.js';
import { partOf } from './part.js';

/**
 * Of the first block's mask bits: there both sides are fed the same, and scores that differ in their last digits change places only
 * where they are next to each other.
 */
const MOST_DIFFERING_AT_FIRST = 1e-5;
/** Of all bits: each weight that changed places changes what the next block is fed, by far more than a last digit. */
const MOST_DIFFERING = 0.02;

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
  const [first, all] = [
    { bits: 0, differing: 0 },
    { bits: 0, differing: 0 },
  ];
  for (const name of weights) {
    const [a, b] = [await readFloats(ours, name), await readFloats(theirs, name)];
    let differing = 0;
    for (let i = 0; i < a.length; i += 1) if ((a[i] === 0) !== (b[i] === 0)) differing += 1;
    for (const sums of name.includes('.layers.0.') ? [first, all] : [all]) {
      sums.bits += a.length;
      sums.differing += differing;
    }
  }
  const of = ({ bits, differing }: typeof all) =>
    `${differing.toLocaleString('en-US')} of ${bits.toLocaleString('en-US')}`;
  const isAlike = first.differing <= MOST_DIFFERING_AT_FIRST * first.bits && all.differing <= MOST_DIFFERING * all.bits;
  if (!isAlike) throw new Error(`${of(first)} mask bits of the first block differ, ${of(all)} of all.`);
  return `Mask bits that differ: ${of(first)} of the first block, where both are fed the same (neighbours in the order of a row, whose scores differ in their last digits), and ${of(all)} of all blocks: each of them changes what the next block is fed.`;
}
