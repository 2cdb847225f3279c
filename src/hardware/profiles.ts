import type { Profile } from './profile.js';

const GB = 1e9;
const TERA = 1e12;

/**
 * Weights that one core unpacks and multiplies in a second in llama.cpp, with the cache warm, and the f32 product on the same core
 * that they are seen beside. Measured by `npm run compare:hardware` (docs/hardware.md has machine, date and commit).
 */
export const UNPACKING = {
  weightsPerCore: {
    F16: 11.6e9,
    Q8_0: 17.6e9,
    Q6_K: 21.1e9,
    Q5_K: 19.3e9,
    Q4_K: 24.6e9,
    Q3_K: 20.4e9,
    Q2_K: 36.2e9,
  },
  productPerCore: 19.7e9,
} as const;

/** What llama.cpp takes for a block besides its products, on the measured core. */
export const BLOCK_SECONDS = 50e-6;

/** An older core, of a laptop or a phone, against the one that was measured. */
function unpacking(cores: number, perCore: number): NonNullable<Profile['unpacking']> {
  const rates = Object.entries(UNPACKING.weightsPerCore).map(([dtype, rate]) => [dtype, rate * perCore]);
  return { cores, weightsPerCore: Object.fromEntries(rates) };
}

/**
 * Machines by name, besides the one at hand. A new one is a row. Peaks are the makers' own, dense; what engines reach of them is
 * assumed, and nobody has measured it here.
 */
export const profiles: ReadonlyMap<string, Profile> = new Map<string, Profile>(
  [
    {
      name: 'vllm-h100',
      description: 'one NVIDIA H100 SXM of 80 GB, vLLM',
      engine: 'vllm' as const,
      memoryBytes: 72 * GB,
      bandwidth: 3.35 * TERA,
      arithmetic: { f32: 67 * TERA, f16: 989 * TERA, int8: 1979 * TERA, fp8: 1979 * TERA },
      reached: { bandwidth: 0.75, arithmetic: 0.5 },
      stepSeconds: 0.002,
      batch: 32,
      source: 'NVIDIA H100 datasheet (SXM5, without sparsity); vLLM takes 90 % of the memory',
    },
    {
      name: 'vllm-a100',
      description: 'one NVIDIA A100 SXM of 80 GB, vLLM',
      engine: 'vllm' as const,
      memoryBytes: 72 * GB,
      bandwidth: 2.039 * TERA,
      arithmetic: { f32: 19.5 * TERA, f16: 312 * TERA, int8: 624 * TERA },
      reached: { bandwidth: 0.75, arithmetic: 0.5 },
      stepSeconds: 0.003,
      batch: 32,
      source: 'NVIDIA A100 datasheet (SXM4, without sparsity); vLLM takes 90 % of the memory',
    },
    {
      name: 'laptop-8gb',
      description: 'a laptop with 8 GB and four cores, llama.cpp on the CPU',
      engine: 'llama.cpp' as const,
      memoryBytes: 5.5 * GB,
      bandwidth: 51.2 * GB,
      arithmetic: { f32: 0.3 * TERA },
      reached: { bandwidth: 0.6, arithmetic: 0.6 },
      stepSeconds: 0,
      blockSeconds: BLOCK_SECONDS / 0.8,
      batch: 1,
      unpacking: unpacking(4, 0.8),
      source: 'two channels of DDR4-3200; four cores with AVX2 at 3 GHz; 2.5 GB for the system',
    },
    {
      name: 'mobile',
      description: 'a phone with 8 GB, llama.cpp on its large cores',
      engine: 'llama.cpp' as const,
      memoryBytes: 3.5 * GB,
      bandwidth: 51.2 * GB,
      arithmetic: { f32: 0.15 * TERA },
      reached: { bandwidth: 0.4, arithmetic: 0.5 },
      stepSeconds: 0,
      blockSeconds: BLOCK_SECONDS / 0.4,
      batch: 1,
      unpacking: unpacking(4, 0.4),
      source: 'LPDDR5-6400 on 64 bits; an app gets about half of the memory, and phones slow down when warm',
    },
  ].map((profile) => [profile.name, profile]),
);

/** Names that stand for the machine at hand, which is measured. */
export const OWN_MACHINE: readonly string[] = ['auto', 'llama.cpp-cpu'];
