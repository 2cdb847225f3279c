import { addToSumsCases } from './add-to-sums.js';
import { cappedCausalAttentionCases, causalAttentionCases } from './causal-attention.js';
import { columnSquaresCases } from './column-squares.js';
import { encodeQ4kCases } from './encode-q4k.js';
import { gramCases } from './gram.js';
import type { KernelCases } from './kernel-case.js';
import { logitDivergenceCases, logitStatisticsCases } from './logits.js';
import { boundaryMaskCases, groupBoundariesCases, pairwiseMaskCases, unrankedScoresCases } from './masks.js';
import { productCases } from './product.js';
import { rmsNormCases } from './rms-norm.js';
import { partialRotaryCases, rotaryCases } from './rotary.js';
import { storedProductCases, widenCases } from './stored-weights.js';
import { chooseBlockCases, pruneBlockCases, roundBlockCases } from './sweep-blocks.js';
import { swigluCases } from './swiglu.js';
import { unpackGroupsCases } from './unpack-groups.js';

/** The cases of every kernel in `wgslKernels`: one line a kernel. */
export const kernelCases: readonly KernelCases[] = [
  productCases,
  storedProductCases,
  widenCases,
  gramCases,
  columnSquaresCases,
  addToSumsCases,
  rmsNormCases,
  rotaryCases,
  partialRotaryCases,
  swigluCases,
  causalAttentionCases,
  cappedCausalAttentionCases,
  logitStatisticsCases,
  logitDivergenceCases,
  unrankedScoresCases,
  groupBoundariesCases,
  boundaryMaskCases,
  pairwiseMaskCases,
  pruneBlockCases,
  chooseBlockCases,
  roundBlockCases,
  unpackGroupsCases,
  encodeQ4kCases,
];
