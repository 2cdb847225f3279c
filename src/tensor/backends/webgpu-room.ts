/**
 * At most so much of a GPU's memory is for tensors that stay there between passes: the hidden states of 128 windows of 2048 tokens of a
 * model as wide as Mistral-7B. More would not be missed by a larger model's calibration, and would be by whatever else uses the GPU.
 */
const MOST_RESIDENT_BYTES = 2 ** 32;

/** Below this, keeping tensors there saves too little to take the risk that a block does not fit beside them. */
const LEAST_RESIDENT_BYTES = 2 ** 26;

/** A processor that imitates a GPU has the host's memory, of which hidden states get as much by default. */
const SOFTWARE_RESIDENT_BYTES = 2 ** 30;

/** Weights and intermediates of a block, and sums over a pass, need room too: as much again must be free. */
const FREE_FOR_EACH = 2;

/** What is asked for at a time: every GPU grants a buffer of that size if it has the memory. */
const PIECE_BYTES = 2 ** 28;

/**
 * How many bytes of tensors may stay on the GPU between passes. WebGPU tells nobody how much memory an adapter has, or how much is
 * free: so twice that many are asked for, and given back at once. Where they are refused, half is tried.
 */
export async function residentBytesOf(device: GPUDevice, software: boolean): Promise<number> {
  if (software) return SOFTWARE_RESIDENT_BYTES;
  for (let bytes = MOST_RESIDENT_BYTES; bytes >= LEAST_RESIDENT_BYTES; bytes /= 2) {
    if (await canAllocate(device, FREE_FOR_EACH * bytes)) return bytes;
  }
  return 0;
}

/** Of what is left free for a block and its intermediates: the Gram matrix of Mistral-7B's widest input takes 0.9 GiB in two floats. */
const SUMS_SHARE = 1 / 4;

/** How many bytes sums over the batches of a pass may take on a GPU where so many are for tensors that stay between passes. */
export function sumBytesBeside(residentBytes: number): number {
  return SUMS_SHARE * residentBytes;
}

async function canAllocate(device: GPUDevice, bytes: number): Promise<boolean> {
  const size = Math.min(PIECE_BYTES, bytes, device.limits.maxBufferSize);
  const buffers: GPUBuffer[] = [];
  device.pushErrorScope('out-of-memory');
  try {
    for (let asked = 0; asked < bytes; asked += size) {
      buffers.push(device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST }));
    }
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
  return (await device.popErrorScope()) === null;
}
