import type { Tensor } from '@tensorflow/tfjs-core';
import type { Device } from './device.js';

/**
 * What `use` makes of a tensor's values, which it neither keeps nor writes to: where the device computes in the host's memory they are
 * not copied, so that what is looked at again and again leaves no garbage. Throws as `Device.read`.
 */
export async function showValues<Result>(
  tensor: Tensor,
  device: Device,
  use: (values: Float32Array | Int32Array) => Result,
): Promise<Result> {
  return use(device.hostMemory?.view(tensor) ?? (await device.read(tensor)));
}
