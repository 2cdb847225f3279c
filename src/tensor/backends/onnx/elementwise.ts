import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import {
  backend_util,
  broadcast_util,
  type KernelConfig,
  type KernelFunc,
  type NamedAttrMap,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { type Graph, type GraphNode, integers, scalar } from './graph.js';
import type { OnnxRuntime } from './runtime.js';

/** Below this, tfjs's own kernel is done before the library has been called. */
const WORTHWHILE_ELEMENTS = 4096;

/** One tfjs operation as the library computes it: what the graph is called, how it is built, and its result's shape. */
interface Translation {
  readonly name: string;
  readonly shape: number[];
  readonly nodes: readonly GraphNode[];
}

type Translate = (inputs: readonly TensorInfo[], attributes: NamedAttrMap) => Translation;

/**
 * Faster versions of tfjs's WASM kernels, which use one thread and, for exp and division, no SIMD. Anything but large float32
 * tensors goes on to the original.
 */
export function elementwiseKernels(runtime: OnnxRuntime, originals: readonly KernelConfig[]): KernelConfig[] {
  return originals.flatMap((original) => {
    const translate = TRANSLATIONS[original.kernelName];
    return translate === undefined ? [] : [faster(runtime, original, translate)];
  });
}

const binary =
  (op: string): Translate =>
  ([a, b]) => ({
    name: op,
    shape: broadcast_util.assertAndGetBroadcastShape(a!.shape, b!.shape),
    nodes: [{ op, inputs: ['x0', 'x1'], output: 'output' }],
  });

const unary =
  (name: string, nodes: readonly GraphNode[]): Translate =>
  ([x]) => ({ name, shape: [...x!.shape], nodes });

const one = (op: string): readonly GraphNode[] => [{ op, inputs: ['x0'], output: 'output' }];

const largest: Translate = ([x], { reductionIndices, keepDims }) => {
  const axes = util.parseAxisParam(reductionIndices as unknown as number | number[], x!.shape);
  const [kept] = backend_util.computeOutAndReduceShapes(x!.shape, axes);
  return {
    name: `ReduceMax ${axes} ${keepDims}`,
    shape: keepDims ? backend_util.expandShapeToKeepDim(kept, axes) : kept,
    nodes: [
      integers('axes', axes),
      {
        op: 'ReduceMax',
        inputs: ['x0', 'axes'],
        output: 'output',
        attributes: { keepdims: Number(keepDims ?? false) },
      },
    ],
  };
};

const transposition: Translate = ([x], attributes) => {
  const perm = attributes['perm'] as unknown as number[];
  return {
    name: `Transpose ${perm}`,
    shape: perm.map((axis) => x!.shape[axis]!),
    nodes: [{ op: 'Transpose', inputs: ['x0'], output: 'output', attributes: { perm } }],
  };
};

/**
 * Not among them: Sum, Mean and Log. On memory that the library did not allocate itself their last bits depend on the address
 * (how many elements come before the first aligned one), and the same input must give the same bytes; nor are they faster.
 */
const TRANSLATIONS: Readonly<Record<string, Translate>> = {
  Add: binary('Add'),
  Sub: binary('Sub'),
  Multiply: binary('Mul'),
  RealDiv: binary('Div'),
  Exp: unary('Exp', one('Exp')),
  Neg: unary('Neg', one('Neg')),
  Sigmoid: unary('Sigmoid', one('Sigmoid')),
  Sqrt: unary('Sqrt', one('Sqrt')),
  Tanh: unary('Tanh', one('Tanh')),
  Square: unary('Square', [{ op: 'Mul', inputs: ['x0', 'x0'], output: 'output' }]),
  Rsqrt: unary('Rsqrt', [
    scalar('one', 1),
    { op: 'Sqrt', inputs: ['x0'], output: 'root' },
    { op: 'Div', inputs: ['one', 'root'], output: 'output' },
  ]),
  Softmax: unary('Softmax', [{ op: 'Softmax', inputs: ['x0'], output: 'output', attributes: { axis: -1 } }]),
  Max: largest,
  Transpose: transposition,
};

function faster(runtime: OnnxRuntime, original: KernelConfig, translate: Translate): KernelConfig {
  const kernelFunc: KernelFunc = (call) => {
    const inputs = Object.values(call.inputs) as TensorInfo[];
    const largest = Math.max(...inputs.map(({ shape }) => util.sizeFromShape(shape)));
    const fits = inputs.every(({ dtype, shape }) => dtype === 'float32' && util.sizeFromShape(shape) > 0);
    if (!fits || largest < WORTHWHILE_ELEMENTS) return original.kernelFunc(call);
    const { name, shape, nodes } = translate(inputs, call.attrs ?? {});
    const backend = call.backend as BackendWasm;
    const output = backend.makeOutput(shape, 'float32');
    const value = (tensor: TensorInfo) => ({
      data: backend.typedArrayFromHeap(tensor) as Float32Array,
      shape: tensor.shape,
    });
    const feeds = Object.fromEntries(inputs.map((input, i) => [`x${i}`, value(input)]));
    const graph = (): Graph => ({
      inputs: Object.fromEntries(inputs.map((_, i) => [`x${i}`, 'float32' as const])),
      nodes,
    });
    runtime.run(name, graph, feeds, value(output));
    return output;
  };
  return { ...original, kernelFunc };
}
