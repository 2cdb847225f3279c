import { type Tensor, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import type { Device } from '../device.js';
import { hasDeviceKernel, runDeviceKernel } from '../kernels.js';
import { PAIRWISE_LIMIT } from '../wgsl/pairwise-mask.js';

/** Of every `group` consecutive columns of a row the `kept` largest stay; all of a last group that is no longer than that. */
export interface GroupRule {
  readonly group: number;
  readonly kept: number;
}

/** Whether the open device has kernels for `maskOnDevice`. */
export function canMaskOnDevice(): boolean {
  return hasDeviceKernel('birdbone.PairwiseMask');
}

/**
 * Which of scores [rows, columns] stay by the rule, chosen on the device: bits in row-major order, lowest first in each byte, those
 * after the last 0. Of equal scores the first go, as in src/sparsity, whose masks these are bit for bit. Undefined where a score has
 * no rank (NaN, infinite, negative), as the host can say which. Only for a device that `canMaskOnDevice`.
 */
export async function maskOnDevice(scores: Tensor2D, rule: GroupRule, device: Device): Promise<Uint8Array | undefined> {
  const [unranked, mask] = tidy(() => [
    runDeviceKernel<Tensor>('birdbone.UnrankedScores', { scores }),
    maskWords(scores, rule),
  ]) as [Tensor, Tensor];
  try {
    if ((await device.read(unranked)).some((count) => count !== 0)) return undefined;
    const { buffer, byteOffset } = await device.read(mask);
    return new Uint8Array(buffer, byteOffset, Math.ceil(scores.size / 8));
  } finally {
    unranked.dispose();
    mask.dispose();
  }
}

/** [⌈rows · columns / 32⌉] int32, a bit for each score. */
function maskWords(scores: Tensor2D, rule: GroupRule): Tensor {
  // A group may be wider than a row, and than 32 bits say.
  const group = Math.min(rule.group, scores.shape[1]);
  const kept = Math.min(rule.kept, group);
  if (group <= PAIRWISE_LIMIT) return runDeviceKernel('birdbone.PairwiseMask', { scores }, { group, kept });
  const boundaries = runDeviceKernel<Tensor>('birdbone.GroupBoundaries', { scores }, { group, kept });
  return runDeviceKernel('birdbone.BoundaryMask', { scores, boundaries }, { group });
}
