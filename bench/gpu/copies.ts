import { add, slice } from '@tensorflow/tfjs-core';
import { median } from 'simple-statistics';
import type { Bench, Stage } from './stage.js';
import { timed } from './stage.js';

/** Bytes a second of the ways between host and GPU, and within the GPU (read and written: each byte counts once). */
export const copies: Stage = async (bench) => {
  const { gpu, sizes, device } = bench;
  const bytes = Math.min(sizes.copyBytes, gpu.limits.maxBufferSize, device.maxTensorBytes);
  const values = new Float32Array(bytes / 4).fill(1);
  const rate = (seconds: readonly number[]) => bytes / median(seconds);
  const { COPY_DST, COPY_SRC } = GPUBufferUsage;
  const [source, target] = [0, 1].map(() => gpu.createBuffer({ size: bytes, usage: COPY_DST | COPY_SRC }));
  try {
    return {
      bytes,
      hostToGpu: rate(
        await timed(sizes.rounds, async () => {
          gpu.queue.writeBuffer(source!, 0, values);
          await gpu.queue.onSubmittedWorkDone();
        }),
      ),
      gpuToGpu: rate(
        await timed(sizes.rounds, async () => {
          const encoder = gpu.createCommandEncoder();
          encoder.copyBufferToBuffer(source!, 0, target!, 0, bytes);
          gpu.queue.submit([encoder.finish()]);
          await gpu.queue.onSubmittedWorkDone();
        }),
      ),
      ...(await throughTensors(bench, values, rate)),
    };
  } finally {
    source?.destroy();
    target?.destroy();
  }
};

/** The ways that tensors take: upload, and read back. */
async function throughTensors(
  { device, sizes }: Bench,
  values: Float32Array,
  rate: (seconds: readonly number[]) => number,
) {
  const upload = rate(
    await timed(sizes.rounds, async () => {
      const tensor = device.upload(values, [values.length]);
      const cell = slice(tensor, 0, 1);
      await device.read(cell);
      cell.dispose();
      tensor.dispose();
    }),
  );
  // What lies on the host already is not read: only a product of the GPU's own is.
  const ones = device.upload(values, [values.length]);
  const made = add(ones, 1);
  try {
    return { upload, read: rate(await timed(sizes.rounds, async () => void (await device.read(made)))) };
  } finally {
    ones.dispose();
    made.dispose();
  }
}
