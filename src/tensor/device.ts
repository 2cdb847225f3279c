import type { Tensor } from '@tensorflow/tfjs-core';
import type { ResidentRoom } from './resident-room.js';
import type { TilePolicy } from './wgsl/kernel.js';

export const DEVICE_NAMES = ['webgpu', 'cuda', 'cpu'] as const;
export type DeviceName = (typeof DEVICE_NAMES)[number];
/** What `--device` takes. */
export type DeviceChoice = 'auto' | DeviceName;

/** What tfjs calls the backend that each device runs on. */
export const TFJS_BACKENDS = { webgpu: 'webgpu', cuda: 'tensorflow', cpu: 'wasm' } as const satisfies Record<
  DeviceName,
  string
>;

/** A row-major matrix on the host in double precision; `values` holds it without gaps. */
export interface DoubleMatrix {
  readonly values: Float64Array;
  readonly rows: number;
  readonly columns: number;
}

/** Products in double precision of matrices that stay on the host. */
export interface DoubleProducts {
  /** left · right, either read as its transpose where asked; the same bits for the same operands. Throws RangeError where they do not fit. */
  multiply(
    left: DoubleMatrix,
    right: DoubleMatrix,
    options?: { readonly transposeLeft?: boolean; readonly transposeRight?: boolean },
  ): Float64Array;
}

/** Of a device that computes in the host's own memory: its tensors where they lie, without a copy on the way there or back. */
export interface HostMemory {
  /** A float32 tensor to be written to; what its values are until then is left open. Throws as `upload`. */
  empty(shape: readonly number[]): Tensor;
  /** The tensor's values, to be read or written until anything else is done with the device: it may move them. */
  view(tensor: Tensor): Float32Array | Int32Array;
}

/**
 * One open compute device. Operations (ops/) are plain functions over tfjs tensors that run on whichever device was opened
 * last: one process, one open device at a time. Tensors are float32 or int32, as tfjs has no others.
 */
export interface Device {
  readonly name: DeviceName;
  /** The adapter or library in words: "llvmpipe (Mesa 25.0.7)", "WASM SIMD + ONNX Runtime 1.30.0". */
  readonly description: string;
  /** CPU threads that compute; absent where another processor does. Not part of `description`: results do not depend on it. */
  readonly threads?: number;
  /** Accelerated paths that are live, by name, for `doctor` and manifests. */
  readonly fastPaths: readonly string[];
  /** What is slower than it could be on this machine, and how to get it; each said once to the user. */
  readonly notices: readonly string[];
  /** The largest tensor that the device computes right, in bytes; a larger one must be split before it is made. */
  readonly maxTensorBytes: number;
  /** Whether `linear` takes weights of 16-bit floats as they are stored (`uploadStored`), at half the memory of float32. */
  readonly multipliesStored?: boolean;
  /** Memory of the device's own for tensors that stay there between passes; absent where tensors lie in the host's. */
  readonly resident?: ResidentRoom;
  /** Memory of the device's own for sums over the batches of a pass (`RunningSums`); absent where they are added up on the host. */
  readonly sums?: ResidentRoom;
  /** Present where tensors lie in the host's memory. */
  readonly hostMemory?: HostMemory;
  /** Copies values to the device. Throws `device` for a tensor above `maxTensorBytes`, `out-of-memory` when the budget is spent. */
  upload(values: Float32Array | Int32Array, shape: readonly number[]): Tensor;
  /**
   * Copies a tensor's values back. The only way to read a device's results: it also looks at every fault the device has
   * reported since the last read and throws `device` rather than return values that a fault may have made wrong.
   */
  read(tensor: Tensor): Promise<Float32Array | Int32Array>;
  /** What tensors, which are single precision, cannot do; absent where the device has no library for it. */
  readonly doubles?: DoubleProducts;
  /** Live tensors and their bytes; equal before and after any complete piece of work, or something leaks. */
  memory(): { readonly tensors: number; readonly bytes: number };
  /** Gives the device back; its tensors are gone. */
  close(): Promise<void>;
}

/** What `doctor` and `auto` learn of a device without opening it. */
export interface FoundDevice {
  readonly name: DeviceName;
  readonly available: boolean;
  /** The adapter or library in words; of an unavailable device, what it would be. */
  readonly description: string;
  /** Why it is not available. */
  readonly reason?: string;
  /** How to get it, one line each. */
  readonly suggestions?: readonly string[];
  /** A GPU that is imitated in software: right but slow, so that `auto` never takes it. */
  readonly software?: boolean;
}

export interface DeviceOptions {
  /** Threads of the CPU's fast paths; all cores unless given. */
  readonly threads?: number;
  /** Chooses how a GPU's matrix products are tiled, which changes their time alone; a guess by their shapes unless given. */
  readonly tiles?: TilePolicy;
  /** What tensors that stay on a GPU between passes may take there; found out unless given. */
  readonly residentBytes?: number;
}

/** One kind of device: the default export of a file in backends/. */
export interface DeviceBackend {
  find(): Promise<FoundDevice>;
  open(options: DeviceOptions): Promise<Device>;
}
