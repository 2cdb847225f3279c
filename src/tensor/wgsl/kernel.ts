import type { DataType, NamedAttrMap, TensorInfo } from '@tensorflow/tfjs-core';
import type { Program } from './program.js';

/** What a kernel may use of the GPU; `Limits` and features are those that the open device has, not those of the machine. */
export interface Gpu {
  readonly limits: Limits;
  /** WebGPU's names of what was asked for and is there: "shader-f16", "subgroups", "chromium-experimental-subgroup-matrix". */
  readonly features: ReadonlySet<string>;
  /** Whether a processor imitates it, which takes seconds over a shader that a GPU's driver compiles at once. */
  readonly software: boolean;
  /** Lanes of a subgroup; absent without the feature "subgroups". */
  readonly subgroup?: { readonly least: number; readonly most: number };
  /** f16 · f16 → f32 by matrix units; absent where there are none, or where the shading language cannot reach them. */
  readonly matrixUnit?: MatrixUnit;
  /** The tile that products of this class are computed by. */
  readonly tiles: TilePolicy;
  /**
   * A new tensor on the GPU whose elements are undefined until a program writes them. It comes from tfjs's own buffers and is
   * tfjs's to dispose once a kernel has returned it. Throws `device` for one above the largest binding.
   */
  create(shape: readonly number[], dtype?: DataType): TensorInfo;
  /** Gives back a tensor that the kernel made for itself; commands that were queued before still find it. */
  release(tensor: TensorInfo): void;
  /**
   * Queues a program behind everything that was queued before, in tfjs's own command encoder: nothing is submitted or waited
   * for. Tensors whose values are still on the host travel first. What the GPU refuses is reported on the side, and thrown by
   * the next `device.read` (backends/webgpu-faults.ts); what can be known before (a tensor too large, a tensor that is read and
   * written at once, workgroups beyond the limit) is thrown here.
   */
  run(program: Program, dispatch: Dispatch): void;
}

/** The limits that kernels chunk or choose by, as WebGPU names them. */
export type Limits = Readonly<
  Pick<
    GPUSupportedLimits,
    | 'maxBufferSize'
    | 'maxStorageBufferBindingSize'
    | 'maxComputeWorkgroupStorageSize'
    | 'maxComputeWorkgroupsPerDimension'
    | 'maxComputeWorkgroupSizeX'
    | 'maxComputeInvocationsPerWorkgroup'
  >
>;

/** One shape that matrix units multiply: [m, k] · [k, n] in f16, summed in f32. */
export interface MatrixUnit {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** Chooses among the tiles of one kernel for a product (tile-policy.ts, tile-tuner.ts). */
export interface TilePolicy {
  /** One of the candidates, which come with the likeliest to be fast first. */
  choose(kernel: string, shape: ProductShape, candidates: readonly string[], trial?: Trial): string;
}

/** Queues one product of that shape by that tile, of operands without values, for who measures. */
export type Trial = (tile: string, shape: ProductShape) => void;

/** [m, k] · [k, n], `batch` times. */
export interface ProductShape {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** One run of a program: a tensor for each of its bindings, a number for each of its uniforms. */
export interface Dispatch {
  readonly inputs: Readonly<Record<string, TensorInfo>>;
  /** Fresh from `create`, or, for programs that work in place, tensors that the kernel's caller gives up. None is also an input. */
  readonly outputs: Readonly<Record<string, TensorInfo>>;
  readonly uniforms?: Readonly<Record<string, number>>;
  readonly workgroups: Workgroups;
}

export type Workgroups = readonly [x: number, y: number, z: number];

/** What an operation is called with, as tfjs hands it to a kernel. */
export interface KernelCall {
  readonly inputs: Readonly<Record<string, TensorInfo>>;
  readonly attributes: NamedAttrMap;
}

/**
 * One operation in WGSL. It is put into tfjs's table for the device `webgpu` under `operation` (kernels.ts): `runOperation` takes it
 * where it `fits` and no gradient is asked for, and composes the operation from tfjs's own otherwise.
 *
 * @example
 * export const rmsNormKernel: WgslKernel = {
 *   operation: 'birdbone.RmsNorm',
 *   run({ inputs: { x, gain }, attributes }, gpu) {
 *     const [rows, columns] = x.shape;
 *     const y = gpu.create(x.shape);
 *     gpu.run(program, {
 *       inputs: { x, gain },
 *       outputs: { y },
 *       uniforms: { rows, columns, epsilon: attributes.epsilon },
 *       workgroups: foldWorkgroups(rows, gpu.limits),
 *     });
 *     return y;
 *   },
 * };
 */
export interface WgslKernel {
  /** The operation's name in tfjs's table: "birdbone.RmsNorm". */
  readonly operation: string;
  /** Features that it cannot do without; where one is missing the operation is composed. */
  readonly needs?: readonly string[];
  /** Whether this call is one for the kernel; all are unless said otherwise. Empty tensors never come. */
  readonly fits?: (call: KernelCall, gpu: Gpu) => boolean;
  /** Never reads a tensor's values: results stay on the GPU. */
  readonly run: (call: KernelCall, gpu: Gpu) => TensorInfo | TensorInfo[];
}

/**
 * Workgroups [x, y, 1], at least `count` of them and at most `maxComputeWorkgroupsPerDimension` a side; the shader unfolds them by
 * `workgroupJob` or `laneJob` (entry-point.ts). Throws for more than a GPU takes in one dispatch.
 */
export function foldWorkgroups(count: number, { maxComputeWorkgroupsPerDimension: most }: Limits): Workgroups {
  if (count <= most) return [count, 1, 1];
  const y = Math.ceil(count / most);
  if (y > most) throw new RangeError(`${count} workgroups do not fit into one dispatch of ${most} squared.`);
  return [Math.ceil(count / y), y, 1];
}
