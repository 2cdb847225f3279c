import { type Program, wgslOf } from './program.js';

/** A device's compiled programs, each compiled at first use. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #pipelines = new Map<string, GPUComputePipeline>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** A shader that does not compile is reported on the side, like every other fault of the GPU. */
  pipelineOf(program: Program): GPUComputePipeline {
    let pipeline = this.#pipelines.get(program.name);
    if (pipeline === undefined) {
      pipeline = compile(program, this.#device);
      this.#pipelines.set(program.name, pipeline);
    }
    return pipeline;
  }
}

/** With a layout of its own: the automatic one leaves out what the code happens not to use. */
function compile(program: Program, device: GPUDevice): GPUComputePipeline {
  const { name: label, inputs, outputs, uniforms = {} } = program;
  const types: GPUBufferBindingType[] = [
    ...Object.keys(inputs).map(() => 'read-only-storage' as const),
    ...Object.keys(outputs).map(() => 'storage' as const),
    ...(Object.keys(uniforms).length === 0 ? [] : ['uniform' as const]),
  ];
  const entries = types.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } }));
  const bindGroupLayouts = [device.createBindGroupLayout({ label, entries })];
  const module = device.createShaderModule({ label, code: wgslOf(program) });
  return device.createComputePipeline({
    label,
    layout: device.createPipelineLayout({ label, bindGroupLayouts }),
    compute: { module, entryPoint: 'main' },
  });
}
