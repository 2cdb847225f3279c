/** What a quantizing step leaves to choose, as recipes and flags say it (src/recipe-steps/quantize.ts). */
export interface QuantizeSettings {
  readonly scheme?: string | undefined;
  readonly algorithm?: string | undefined;
  readonly groupSize?: number | 'channel' | 'tensor' | undefined;
  readonly asymmetric?: boolean | undefined;
  readonly scale?: 'absmax' | 'mse' | undefined;
  readonly bitsPerWeight?: number | undefined;
  readonly sizeBytes?: number | undefined;
  /** Schemes of tensors by glob; `dense` leaves them as they are. */
  readonly keep?: Readonly<Record<string, string>> | undefined;
  /** GPTQ: the part of the weights that goes in the same sweep. */
  readonly sparsity?: number | undefined;
  /** GPTQ: how the weights that stay lie in a matrix. */
  readonly pattern?: string | undefined;
  readonly kvCache?: 'fp8' | undefined;
  /** Whether there is a calibration text: errors in ggml's blocks are weighed by it then. */
  readonly weighted?: boolean | undefined;
}
