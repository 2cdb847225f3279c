/** What bench/gpu writes, as far as it is worked with again: whole-job.ts and render.ts. */
export interface GpuResults {
  readonly date: string;
  readonly commit: string;
  readonly tiny: boolean;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly system: string; readonly node: string };
  readonly stages: {
    readonly adapter?: Failed | { readonly description: string; readonly features: readonly string[] };
    readonly copies?: Failed | Copies;
    readonly products?: Failed | readonly ProductResult[];
    readonly block?: Failed | BlockResult;
    readonly jobs?: Failed | Readonly<Record<string, Failed | JobResult>>;
  };
  /** Of each kernel and class of shapes that came up: the tile that was fastest. */
  readonly tiles?: Readonly<Record<string, string>>;
  readonly wholeJob?: readonly WholeJob[];
  readonly torch: TorchResults;
}

export interface Failed {
  readonly failed: string;
}

/** Bytes a second. */
export interface Copies {
  readonly hostToGpu: number;
  readonly gpuToGpu: number;
  readonly upload: number;
  readonly read: number;
}

export interface ProductResult {
  readonly way: string;
  /** What multiplied; of PyTorch it is not known. */
  readonly by?: 'matrix units' | 'f32 tiles';
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly flops?: number;
  readonly missing?: string;
}

export interface BlockResult {
  readonly loadSeconds: number;
  readonly weights: number;
  readonly windows: readonly {
    readonly windows: number;
    readonly tokens: number;
    readonly forwardSeconds: number;
    /** Forward pass and Gram matrices, whose sums stay on the GPU, or are read batch by batch. */
    readonly gramSeconds: number;
    readonly gramByBatchSeconds: number;
    /** Bytes of hidden states, and those of them that stayed on the GPU. */
    readonly states: { readonly bytes: number; readonly resident: number };
  }[];
}

export interface JobResult {
  readonly runs: readonly { readonly windows: number; readonly tokens: number; readonly seconds: number }[];
}

/** A job over all of Mistral-7B, from what one block took. */
export interface WholeJob {
  readonly job: string;
  readonly seconds: number;
  readonly targetSeconds?: number;
}

export interface TorchResults {
  /** Why there is none. */
  readonly missing?: string;
  readonly torch?: string;
  readonly device?: string;
  readonly products?: readonly ProductResult[];
  readonly copies?: Readonly<Record<string, number>>;
  readonly block?: Readonly<Record<string, number>>;
}

export function isFailed(result: object | undefined): result is Failed {
  return result !== undefined && 'failed' in result;
}
