/**
 * At most so much of a GPU's memory is for tensors that stay there between passes: the hidden states of 128 windows of 2048 tokens of a
 * model as wide as Mistral-7B. More would not be missed by a larger model's calibration, and would be by whatever else uses the GPU.
 */
const MOST_RESIDENT_BYTES = 2 ** 32;

/** Below this, keeping tensors there saves too little to take the risk that a block does not fit beside them. */
const LEAST_RESIDENT_BYTES = 2 ** 26;

/** A processor that imitates a GPU has the host's memory, of which hidden states get as much by default. */
const SOFTWARE_RESIDENT_BYTES = 2 ** 30;

/** Weights and intermediates of a block need room too: as much again must be free. */
const FOR_BLOCK = 1;

/**
 * And sums over a pass half as much: those of all Gram matrices of a block as wide as Mistral-7B's take 1.2 GiB in two floats.
 */
const FOR_SUMS = 1 / 2;

/** What is asked for at a time: every GPU grants a buffer of that size if it has the memory. */
const PIECE_BYTES = 2 ** 28;

/**
 * How many bytes of tensors may stay on the GPU between passes. WebGPU tells nobody how much memory an adapter has, or how much is
 * free: so two and a half times that many are asked for, and given back at once. Where they are refused, half is tried.
 */
export async function residentBytesOf(device: GPUDevice, software: boolean): Promise<number> {
  if (software) return SOFTWARE_RESIDENT_BYTES;
  for (let bytes = MOST_RESIDENT_BYTES; bytes >= LEAST_RESIDENT_BYTES; bytes /= 2) {
    if (await canAllocate(device, (1 + FOR_BLOCK + FOR_SUMS) * bytes)) return bytes;
  }
  return 0;
}

/** How many bytes sums over the batches of a pass may take on a GPU where so many are for tensors that stay between passes. */
export function sumBytesBeside(residentBytes: number): number {
  return FOR_SUMS * residentBytes;
}

async function canAllocate(device: GPUDevice, bytes: number): Promise<boolean> {
  const piece = Math.min(PIECE_BYTES, device.limits.maxBufferSize);
  const buffers: GPUBuffer[] = [];
  device.pushErrorScope('out-of-memory');
  try {
    for (let asked = 0; asked < bytes; asked += piece) {
      const size = Math.min(piece, bytes - asked);
      buffers.push(device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST }));
    }
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
  return (await device.popErrorScope()) === null;
}
