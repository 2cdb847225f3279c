import { availableDevices } from '../../src/tensor/index.js';
import { TileTuner } from '../../src/tensor/wgsl/tile-tuner.js';

/** Of a GPU in software, which takes a second or more to compile a large one. */
const SMALL: readonly string[] = ['32x32', '16x64'];

class SmallTiles extends TileTuner {
  override choose(...[kernel, shape, candidates, trial]: Parameters<TileTuner['choose']>): string {
    const small = candidates.filter((name) => SMALL.includes(name));
    return super.choose(kernel, shape, small.length > 0 ? small : candidates.slice(0, 1), trial);
  }
}

/** Tiles as a run has them after its first products: measured on this GPU, now, whatever an earlier run kept. */
export async function measuredTiles(): Promise<TileTuner> {
  const gpu = (await availableDevices()).find(({ name }) => name === 'webgpu');
  return gpu?.software ? new SmallTiles() : new TileTuner();
}
