import { matMul, mean, sub, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import type { Device } from '../tensor/index.js';
import type { SampleGram } from './alignment.js';

/** The Gram matrix of samples [count, width] on the device, each column less its mean. */
export async function sampleGram(samples: Tensor2D, device: Device): Promise<SampleGram> {
  // The estimator does not change when columns move; products of large means would take the digits of what varies.
  const gram = tidy(() => {
    const centred = sub(samples, mean(samples, 0, true)) as Tensor2D;
    return matMul(centred, centred, false, true);
  });
  try {
    return { values: (await device.read(gram)) as Float32Array, count: samples.shape[0] };
  } finally {
    gram.dispose();
  }
}

/** The same of row-major samples on the host. */
export async function hostGram(values: Float32Array, width: number, device: Device): Promise<SampleGram> {
  const samples = device.upload(values, [values.length / width, width]) as Tensor2D;
  try {
    return await sampleGram(samples, device);
  } finally {
    samples.dispose();
  }
}
