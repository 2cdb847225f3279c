import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { residentBytesOf } from '../../src/tensor/backends/webgpu-room.js';
import { ResidentRoom } from '../../src/tensor/index.js';

const MIB = 2 ** 20;

/** A GPU that has so much free memory and refuses more on the side, as WebGPU does. */
function gpuOf(freeBytes: number, maxBufferSize = 2 ** 31) {
  let [held, refused] = [0, false];
  const device = {
    limits: { maxBufferSize },
    pushErrorScope: () => {
      refused = false;
    },
    popErrorScope: async () => (refused ? { message: 'out of memory' } : null),
    createBuffer: ({ size }: { readonly size: number }) => {
      if (size > maxBufferSize) throw new RangeError('a buffer above the limit');
      const given = held + size <= freeBytes ? size : 0;
      if (given === 0) refused = true;
      held += given;
      return {
        destroy: () => {
          held -= given;
        },
      };
    },
  };
  return { device: device as unknown as GPUDevice, held: () => held };
}

describe('what may stay on a GPU between passes', () => {
  beforeAll(() => {
    vi.stubGlobal('GPUBufferUsage', { STORAGE: 128, COPY_DST: 8 });
  });
  afterAll(() => {
    vi.unstubAllGlobals();
  });

  it.each([
    ['a large one', 80_000, 4096],
    ['one with 10 GiB free', 10_240, 4096],
    ['one with less', 10_239, 2048],
    ['a small one', 500, 128],
    ['one that has next to nothing', 100, 0],
  ])(
    'is two fifths of what %s grants, 4 GiB at most, and all of that is given back',
    async (_, freeMib, residentMib) => {
      const gpu = gpuOf(freeMib * MIB);
      expect(await residentBytesOf(gpu.device, false)).toBe(residentMib * MIB);
      expect(gpu.held()).toBe(0);
    },
  );

  it('is asked for in buffers that the GPU can have', async () => {
    expect(await residentBytesOf(gpuOf(2 ** 34, 2 ** 27).device, false)).toBe(2 ** 32);
  });

  it('is a part of the host’s memory where that is the GPU’s', async () => {
    expect(await residentBytesOf(gpuOf(0).device, true)).toBe(2 ** 30);
  });
});

describe('a room for resident tensors', () => {
  it('takes from the first on what still fits, and the same again once it was given back', () => {
    const room = new ResidentRoom(100);
    expect(room.takeFirst([40, 50, 20, 5])).toBe(2);
    expect(room.freeBytes).toBe(10);
    expect(room.takeFirst([11])).toBe(0);
    expect(room.takeFirst([10])).toBe(1);
    room.giveBack(90);
    expect(room.takeFirst([40, 50, 20])).toBe(2);
    expect(() => room.giveBack(101)).toThrow(RangeError);
  });
});
