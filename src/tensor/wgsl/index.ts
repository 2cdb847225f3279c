import { addToSumsKernel } from './add-to-sums.js';
import { boundaryMaskKernel } from './boundary-mask.js';
import { columnSquaresKernel } from './column-squares.js';
import { encodeQ4kKernel } from './encode-q4k.js';
import { cappedFlashAttentionKernel, flashAttentionKernel } from './flash-attention.js';
import { gramKernel } from './gram.js';
import { groupBoundariesKernel } from './group-boundaries.js';
import type { WgslKernel } from './kernel.js';
import { logitDivergenceKernel, logitStatisticsKernel } from './logit-statistics.js';
import { pairwiseMaskKernel } from './pairwise-mask.js';
import { productKernel } from './product.js';
import { rmsNormKernel } from './rms-norm.js';
import { partialRotaryKernel, rotaryKernel } from './rotary.js';
import { storedProductKernel } from './stored-product.js';
import { chooseBlockKernel, pruneBlockKernel, roundBlockKernel } from './sweep-block.js';
import { swigluKernel } from './swiglu.js';
import { unpackGroupsKernel } from './unpack-groups.js';
import { unrankedScoresKernel } from './unranked-scores.js';
import { widenKernel } from './widen.js';

/** Every operation that has a kernel of ours on a GPU; test/contract/wgsl-kernels.test.ts compares each with its definition. */
export const wgslKernels: readonly WgslKernel[] = [
  productKernel,
  storedProductKernel,
  widenKernel,
  gramKernel,
  columnSquaresKernel,
  addToSumsKernel,
  rmsNormKernel,
  rotaryKernel,
  partialRotaryKernel,
  swigluKernel,
  flashAttentionKernel,
  cappedFlashAttentionKernel,
  logitStatisticsKernel,
  logitDivergenceKernel,
  unrankedScoresKernel,
  groupBoundariesKernel,
  boundaryMaskKernel,
  pairwiseMaskKernel,
  pruneBlockKernel,
  chooseBlockKernel,
  roundBlockKernel,
  unpackGroupsKernel,
  encodeQ4kKernel,
];
