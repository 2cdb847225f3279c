import type { EncodableDtype } from '../ggml/index.js';

/** What a matrix product is computed in. */
export type Arithmetic = 'f32' | 'f16' | 'int8' | 'fp8';

/** How a GGUF's weights are stored, as far as reading them costs time. */
export type GgufDtype = EncodableDtype | 'F32' | 'F16' | 'BF16';

export type Engine = 'llama.cpp' | 'vllm';

/**
 * A machine and the engine that runs there, as figures that a roofline needs. Rates are what the hardware can do at most; what an
 * engine gets of them is in `reached`.
 */
export interface Profile {
  readonly name: string;
  /** In words, for reports. */
  readonly description: string;
  readonly engine: Engine;
  /** Of the device, for weights and KV cache, after what the system and the engine themselves take. */
  readonly memoryBytes: number;
  /** Reading from that memory, bytes a second. */
  readonly bandwidth: number;
  /** Operations a second (a multiplication and an addition are two), dense. Absent: the hardware has no unit for it. */
  readonly arithmetic: Readonly<Partial<Record<Arithmetic, number>>>;
  /** Fractions of the two that the engine gets. */
  readonly reached: { readonly bandwidth: number; readonly arithmetic: number };
  /** What a step costs whatever its size: launches, sampling. Seconds. */
  readonly stepSeconds: number;
  /** The same for each block: of an engine that waits for all its threads after each operation. */
  readonly blockSeconds?: number;
  /** Sequences that are generated side by side, where nobody says otherwise. */
  readonly batch: number;
  /** Cores that compute, and weights that one of them unpacks and multiplies in a second, by type: an engine on a CPU. */
  readonly unpacking?: {
    readonly cores: number;
    readonly weightsPerCore: Readonly<Partial<Record<GgufDtype, number>>>;
  };
  /** Where the figures are from. */
  readonly source: string;
}
