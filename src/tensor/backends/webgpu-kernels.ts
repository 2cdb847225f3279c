import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { env, type KernelConfig, type NamedAttrMap, type NamedTensorInfoMap, util } from '@tensorflow/tfjs-core';
import { TFJS_BACKENDS } from '../device.js';
import type { FittingKernel } from '../kernels.js';
import type { Dispatch, Gpu, KernelCall, MatrixUnit, TilePolicy, WgslKernel } from '../wgsl/kernel.js';
import { PipelineCache } from '../wgsl/pipeline-cache.js';
import type { Program } from '../wgsl/program.js';
import type { SecondsOf } from '../wgsl/tile-tuner.js';

/**
 * What is used of tfjs's WebGPU backend beyond its public face, and nowhere else: its command encoder, so that our programs and
 * its own run in the order in which they were called, and the lists of what may be reused once a submission is made.
 */
interface Internals {
  computePassEncoder: GPUComputePassEncoder | null;
  readonly commandEncoder: GPUCommandEncoder | null;
  dispatchCountInPass: number;
  readonly commandQueueOwnedIds: WeakSet<object>;
  makeUniforms(values: { type: string; data: number[] }[]): GPUBufferBinding;
}

/** Whether this version of tfjs has all that `openGpu` relies on; asked of a backend that has not computed yet. */
export function hasInternals(backend: WebGPUBackend): boolean {
  const { computePassEncoder, commandEncoder, dispatchCountInPass, commandQueueOwnedIds, makeUniforms } =
    internalsOf(backend);
  return (
    computePassEncoder === null &&
    commandEncoder === null &&
    typeof dispatchCountInPass === 'number' &&
    commandQueueOwnedIds instanceof WeakSet &&
    typeof makeUniforms === 'function' &&
    typeof backend.ensureCommandEncoderReady === 'function' &&
    typeof backend.endComputePassEncoder === 'function' &&
    typeof backend.submitQueue === 'function'
  );
}

const internalsOf = (backend: WebGPUBackend) => backend as unknown as Internals;

export interface GpuParts {
  readonly backend: WebGPUBackend;
  readonly adapterInfo: GPUAdapterInfo;
  readonly software: boolean;
  readonly tiles: TilePolicy;
}

/** What kernels run by: tfjs's device, buffers and encoder behind our own interface. */
export function openGpu({ backend, adapterInfo, software, tiles }: GpuParts): Gpu {
  const { device } = backend;
  const pipelines = new PipelineCache(device);
  const features = new Set<string>(device.features);
  const matrixUnit = matrixUnitOf(adapterInfo, features);
  const { subgroupMinSize: least = 0, subgroupMaxSize: most = 0 } = adapterInfo;
  return {
    limits: device.limits,
    features,
    software,
    ...(features.has('subgroups') && { subgroup: { least, most } }),
    ...(matrixUnit && { matrixUnit }),
    tiles,
    create(shape, dtype = 'float32') {
      const tensor = backend.makeTensorInfo([...shape], dtype);
      backend.uploadToGPU(tensor.dataId);
      return tensor;
    },
    release: ({ dataId }) => void backend.disposeData(dataId),
    run: (program, dispatch) => record(backend, pipelines, program, dispatch),
  };
}

/**
 * Seconds from handing the GPU what `work` queues until it is done; infinite where the GPU refuses, which is then no fault of what
 * else it does.
 */
export function gpuSeconds(backend: WebGPUBackend): SecondsOf {
  const { device } = backend;
  const submit = () => {
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    backend.submitQueue();
    return device.queue.onSubmittedWorkDone();
  };
  return async (work) => {
    await submit();
    for (const filter of ['out-of-memory', 'internal', 'validation'] as const) device.pushErrorScope(filter);
    const start = performance.now();
    work();
    await submit();
    const seconds = (performance.now() - start) / 1000;
    const errors = [await device.popErrorScope(), await device.popErrorScope(), await device.popErrorScope()];
    return errors.some((error) => error !== null) ? Number.POSITIVE_INFINITY : seconds;
  };
}

/** The entries of tfjs's table for the kernels that this GPU has the features for. */
export function kernelConfigs(kernels: readonly WgslKernel[], gpu: Gpu): KernelConfig[] {
  const able = kernels.filter(({ needs = [] }) => needs.every((feature) => gpu.features.has(feature)));
  return able.map(({ operation, fits, run }): FittingKernel => {
    const callOf = (inputs: NamedTensorInfoMap, attributes: NamedAttrMap): KernelCall => ({
      inputs: inputs as Record<string, NonNullable<NamedTensorInfoMap[string]>>,
      attributes,
    });
    return {
      kernelName: operation,
      backendName: TFJS_BACKENDS.webgpu,
      fits: (inputs, attributes) =>
        Object.values(inputs).every((input) => util.sizeFromShape(input!.shape) > 0) &&
        (fits?.(callOf(inputs, attributes), gpu) ?? true),
      kernelFunc: ({ inputs, attrs }) => run(callOf(inputs, attrs ?? {}), gpu),
    };
  });
}

/** Queues one dispatch as tfjs queues its own (`recordAndSubmit` of its 4.22.0). */
function record(backend: WebGPUBackend, pipelines: PipelineCache, program: Program, dispatch: Dispatch): void {
  checkWorkgroups(program, dispatch.workgroups, backend.device.limits.maxComputeWorkgroupsPerDimension);
  const bindings = [...buffersOf(backend, program, dispatch).map((buffer) => ({ buffer }))];
  const numbers = numbersOf(program, dispatch);
  const internals = internalsOf(backend);
  const pipeline = pipelines.pipelineOf(program);
  const resources = numbers.length === 0 ? bindings : [...bindings, internals.makeUniforms(numbers)];
  const group = backend.device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: resources.map((resource, binding) => ({ binding, resource })),
  });
  backend.ensureCommandEncoderReady();
  internals.computePassEncoder ??= internals.commandEncoder!.beginComputePass();
  internals.computePassEncoder.setPipeline(pipeline);
  internals.computePassEncoder.setBindGroup(0, group);
  internals.computePassEncoder.dispatchWorkgroups(...dispatch.workgroups);
  internals.dispatchCountInPass += 1;
  if (internals.dispatchCountInPass >= env().getNumber('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE')) {
    backend.endComputePassEncoder();
    backend.submitQueue();
  }
}

/** The buffers of a dispatch in the order of their bindings, kept from reuse until the submission that reads or writes them. */
function buffersOf(backend: WebGPUBackend, program: Program, { inputs, outputs }: Dispatch): GPUBuffer[] {
  const take = (tensors: Dispatch['inputs'], names: object) =>
    Object.keys(names).map((name) => {
      const tensor = tensors[name];
      if (tensor === undefined) throw new Error(`${program.name} was given no tensor for ${name}.`);
      backend.uploadToGPU(tensor.dataId);
      internalsOf(backend).commandQueueOwnedIds.add(tensor.dataId);
      return backend.tensorMap.get(tensor.dataId).resource as GPUBuffer;
    });
  const read = take(inputs, program.inputs);
  const written = take(outputs, program.outputs);
  if (new Set([...read, ...written]).size < new Set(read).size + written.length) {
    throw new Error(`${program.name} was given a tensor to write that it also binds elsewhere.`);
  }
  return [...read, ...written];
}

function numbersOf({ name: program, uniforms = {} }: Program, { uniforms: given = {} }: Dispatch) {
  return Object.entries(uniforms).map(([name, type]) => {
    const value = given[name];
    if (value === undefined) throw new Error(`${program} was given no number for ${name}.`);
    return { type: TFJS_TYPES[type], data: [value] };
  });
}

const TFJS_TYPES = { u32: 'uint32', i32: 'int32', f32: 'float32' } as const;

function checkWorkgroups({ name }: Program, workgroups: readonly number[], most: number): void {
  if (workgroups.every((count) => Number.isInteger(count) && count > 0 && count <= most)) return;
  throw new RangeError(
    `${name} asks for [${workgroups.join(', ')}] workgroups, where a GPU takes 1 to ${most} a side.`,
  );
}

/** What the adapter says of matrix units; TypeScript's declarations do not know it yet. */
interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** The largest shape that the adapter multiplies from f16 to f32. */
function matrixUnitOf(info: GPUAdapterInfo, features: ReadonlySet<string>): MatrixUnit | undefined {
  if (!features.has('chromium-experimental-subgroup-matrix') || !features.has('shader-f16')) return undefined;
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: Iterable<MatrixConfig> };
  const usable = [...subgroupMatrixConfigs]
    .filter(({ componentType, resultComponentType }) => componentType === 'f16' && resultComponentType === 'f32')
    .map(({ M: m, N: n, K: k }) => ({ m, n, k }))
    .sort((a, b) => b.m * b.n * b.k - a.m * a.n * a.k);
  return usable[0];
}
