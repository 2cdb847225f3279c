import type { LoadedBlock } from '../model/index.js';
import type { Device } from '../tensor/index.js';
import type { BlockNeurons, Leg } from './legs.js';
import { type Directions, ProfileSketch } from './profile-sketch.js';
import { type HostWeight, type LegFigures, legFigures } from './weight-figures.js';

/** What the weights of a block's neurons are like. */
export interface WeightDescription {
  /** By leg, in their order. */
  readonly legs: readonly LegFigures[];
  /** From where they read and to where they write; absent where that was not asked for, or nothing is known to. */
  readonly reads?: Directions;
  readonly writes?: Directions;
  /** 1 for a neuron that gives nothing: all weights of one of its legs are 0, as those of a shed plate are [neurons]. */
  readonly gone: Uint8Array;
}

/** The description of neurons by their weights; `directions`: with whom they are connected, too. One weight is on the host at a time. */
export async function describeWeights(
  block: LoadedBlock,
  { legs, count }: BlockNeurons,
  { device, seed, directions }: { readonly device: Device; readonly seed: number; readonly directions: boolean },
): Promise<WeightDescription> {
  const sketchOf = (way: Leg['way'], offset: number) => {
    const total = legs.filter((leg) => leg.way === way).reduce((sum, leg) => sum + widthOf(block, leg), 0);
    return directions && total > 0 ? new ProfileSketch(count, total, seed + offset) : undefined;
  };
  const sketches = { reads: sketchOf('reads', 1), writes: sketchOf('writes', 2) };
  const found: LegFigures[] = [];
  for (const leg of legs) {
    const weight = await onHost(block, leg.weight, device);
    found.push(legFigures(leg, weight, count));
    await sketches[leg.way]?.add(leg, weight, device);
  }
  return {
    legs: found,
    gone: goneOf(legs, found, count),
    ...(sketches.reads && { reads: sketches.reads.finish() }),
    ...(sketches.writes && { writes: sketches.writes.finish() }),
  };
}

function widthOf(block: LoadedBlock, { weight, way }: Leg): number {
  const { rows, columns } = block.linears.get(weight)!.spec;
  return way === 'reads' ? columns : rows;
}

/** A leg without any weights says nothing. */
function goneOf(legs: readonly Leg[], figures: readonly LegFigures[], count: number): Uint8Array {
  const gone = new Uint8Array(count);
  for (const [index, leg] of legs.entries()) {
    for (let neuron = 0; neuron < count; neuron += 1) {
      if (figures[index]!.norm[neuron] === 0 && leg.of(neuron).length > 0) gone[neuron] = 1;
    }
  }
  return gone;
}

/** A loaded weight's values. */
export async function onHost(block: LoadedBlock, name: string, device: Device): Promise<HostWeight> {
  const { spec, weight } = block.linears.get(name)!;
  const { rows, columns } = spec;
  if (weight.parts.length === 1)
    return { values: (await device.read(weight.parts[0]!)) as Float32Array, rows, columns };
  const values = new Float32Array(rows * columns);
  let offset = 0;
  for (const part of weight.parts) {
    const read = (await device.read(part)) as Float32Array;
    values.set(read, offset);
    offset += read.length;
  }
  return { values, rows, columns };
}
