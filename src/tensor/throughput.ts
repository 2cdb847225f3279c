import { dispose, matMul, randomUniform, type Tensor2D } from '@tensorflow/tfjs-core';
import type { Device } from './device.js';

const SIZE = 512;
const RUNS = 5;

/** Floating-point operations per second of a 512³ matrix product on the device: the median of a few runs, one second or so. */
export async function measureMatMul(device: Device): Promise<number> {
  const a = randomUniform([SIZE, SIZE], -1, 1, 'float32', 1) as Tensor2D;
  const seconds: number[] = [];
  try {
    for (let run = 0; run <= RUNS; run++) {
      const start = performance.now();
      const product = matMul(a, a);
      await device.read(product);
      dispose(product);
      // The first run compiles and warms up.
      if (run > 0) seconds.push((performance.now() - start) / 1000);
    }
  } finally {
    dispose(a);
  }
  seconds.sort((left, right) => left - right);
  return (2 * SIZE ** 3) / seconds[Math.floor(seconds.length / 2)]!;
}
