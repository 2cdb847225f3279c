import { availableParallelism, cpus, totalmem } from 'node:os';
import { measureMatMul, openDevice } from '../tensor/index.js';
import { measureBandwidth } from './memory-bandwidth.js';
import type { GgufDtype, Profile } from './profile.js';
import { BLOCK_SECONDS, UNPACKING } from './profiles.js';

/** What the system, the engine's own code and its user's other programs take. */
const TAKEN_BYTES = 1.5e9;

/** What was measured of a machine; everything of its profile that is not known beforehand. */
export interface MachineFigures {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Bytes a second. */
  readonly bandwidth: number;
  /** Floating-point operations a second of a product in f32, all cores. */
  readonly product: number;
}

/** Names the machine that figures belong to. */
export function machineKey(): string {
  return [cpus()[0]?.model.trim() ?? 'unknown', availableParallelism(), totalmem()].join(' | ');
}

/** Measures memory and arithmetic of this machine, in about two seconds. What else runs on it makes both less. */
export async function measureMachine(): Promise<MachineFigures> {
  const cores = availableParallelism();
  const bandwidth = await measureBandwidth(cores);
  const device = await openDevice('cpu');
  try {
    const product = await measureMatMul(device);
    return { processor: cpus()[0]?.model.trim() ?? 'unknown', cores, memoryBytes: totalmem(), bandwidth, product };
  } finally {
    await device.close();
  }
}

/** This machine under llama.cpp: its own memory and arithmetic, and unpacking as on the measured core, by their products in f32. */
export function profileOfMachine({ processor, cores, memoryBytes, bandwidth, product }: MachineFigures): Profile {
  const speed = product / cores / UNPACKING.productPerCore;
  const rates = Object.entries(UNPACKING.weightsPerCore).map(([dtype, rate]) => [dtype, rate * speed]);
  return {
    name: 'llama.cpp-cpu',
    description: `this machine (${processor}, ${cores} cores), llama.cpp on the CPU`,
    engine: 'llama.cpp',
    memoryBytes: memoryBytes - TAKEN_BYTES,
    bandwidth,
    arithmetic: { f32: product },
    // Both were measured, not looked up.
    reached: { bandwidth: 1, arithmetic: 1 },
    stepSeconds: 0,
    blockSeconds: BLOCK_SECONDS,
    batch: 1,
    unpacking: { cores, weightsPerCore: Object.fromEntries(rates) as Partial<Record<GgufDtype, number>> },
    source: 'measured',
  };
}
