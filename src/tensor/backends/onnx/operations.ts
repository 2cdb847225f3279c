import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { KernelConfig, KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import type { OperationKernel } from '../../kernels.js';
import { attentionKernel } from './attention.js';
import { type ElementType, type Graph, type GraphNode, integers, scalar } from './graph.js';
import type { OnnxRuntime } from './runtime.js';

type Inputs = Readonly<Record<string, TensorInfo>>;

/** One of our operations (ops/) as one graph, whose inputs carry the operation's own names for them. */
interface FusedOperation {
  readonly inputs: Readonly<Record<string, ElementType>>;
  readonly shape: (inputs: Inputs) => readonly number[];
  /** The operation's one attribute that is built into the graph. */
  readonly attribute?: string;
  readonly nodes: (attribute: number) => readonly GraphNode[];
}

/** The operations that run in one call of the library, and attention. The composition of each in ops/ says what it computes. */
export function operationKernels(runtime: OnnxRuntime, backendName: string): KernelConfig[] {
  const fused = Object.entries(OPERATIONS).map(([kernelName, operation]) => ({
    kernelName,
    backendName,
    kernelFunc: fusedKernel(runtime, kernelName, operation),
  }));
  return [...fused, attentionKernel(runtime, backendName)];
}

function fusedKernel(runtime: OnnxRuntime, kernelName: string, operation: FusedOperation): KernelFunc {
  return (call) => {
    const inputs = call.inputs as unknown as Inputs;
    const attribute = operation.attribute === undefined ? 0 : Number(call.attrs?.[operation.attribute]);
    const backend = call.backend as BackendWasm;
    const output = backend.makeOutput([...operation.shape(inputs)], 'float32');
    // Views are taken only now: making the output may have grown the heap, which detaches older views.
    const value = (tensor: TensorInfo) => ({
      data: backend.typedArrayFromHeap(tensor) as Float32Array | Int32Array,
      shape: tensor.shape,
    });
    const feeds = Object.fromEntries(Object.keys(operation.inputs).map((name) => [name, value(inputs[name]!)]));
    const graph = (): Graph => ({ inputs: operation.inputs, nodes: operation.nodes(attribute) });
    runtime.run(`${kernelName} ${attribute}`, graph, feeds, value(output));
    return output;
  };
}

const float32 = (...names: string[]): Record<string, ElementType> =>
  Object.fromEntries(names.map((name) => [name, 'float32']));

const shapeOf = (input: string) => (inputs: Inputs) => inputs[input]!.shape;
const rowsOf = (input: string) => (inputs: Inputs) => inputs[input]!.shape.slice(0, 1);

const node = (
  op: string,
  inputs: string[],
  output: GraphNode['output'],
  attributes: GraphNode['attributes'] = {},
): GraphNode => ({
  op,
  inputs,
  output,
  attributes,
});

const OPERATIONS: Partial<Record<OperationKernel, FusedOperation>> = {
  'birdbone.RmsNorm': {
    inputs: float32('x', 'gain'),
    shape: shapeOf('x'),
    attribute: 'epsilon',
    nodes: (epsilon) => [
      integers('columns', [-1]),
      scalar('epsilon', epsilon),
      node('Mul', ['x', 'x'], 'squares'),
      node('ReduceMean', ['squares', 'columns'], 'mean'),
      node('Add', ['mean', 'epsilon'], 'shifted'),
      node('Sqrt', ['shifted'], 'root'),
      node('Div', ['x', 'root'], 'normed'),
      node('Mul', ['normed', 'gain'], 'output'),
    ],
  },
  'birdbone.Rotary': {
    inputs: float32('x', 'cos', 'sin'),
    shape: shapeOf('x'),
    nodes: () => [
      node('Split', ['x'], ['first', 'second'], { axis: 3, num_outputs: 2 }),
      node('Neg', ['second'], 'negated'),
      node('Concat', ['negated', 'first'], 'turned', { axis: 3 }),
      node('Mul', ['x', 'cos'], 'along'),
      node('Mul', ['turned', 'sin'], 'across'),
      node('Add', ['along', 'across'], 'output'),
    ],
  },
  'birdbone.Swiglu': {
    inputs: float32('gate', 'up'),
    shape: shapeOf('gate'),
    nodes: () => [
      node('Sigmoid', ['gate'], 'sigmoid'),
      node('Mul', ['gate', 'sigmoid'], 'silu'),
      node('Mul', ['silu', 'up'], 'output'),
    ],
  },
  'birdbone.ColumnSquares': {
    inputs: float32('x'),
    shape: ({ x }) => x!.shape.slice(1),
    nodes: () => [
      integers('rows', [0]),
      node('Mul', ['x', 'x'], 'squares'),
      node('ReduceSum', ['squares', 'rows'], 'output', { keepdims: 0 }),
    ],
  },
  'birdbone.LogitStatistics': {
    inputs: { logits: 'float32', targets: 'int32' },
    shape: ({ logits }) => [logits!.shape[0]!, 4],
    nodes: () => [
      integers('columns', [1]),
      node('ReduceMax', ['logits', 'columns'], 'max'),
      // The largest probability is exp(0) / Σ exp(z − max): the sum for the price of a softmax, which is vectorised.
      node('Softmax', ['logits'], 'probabilities', { axis: 1 }),
      node('ReduceMax', ['probabilities', 'columns'], 'top'),
      node('Reciprocal', ['top'], 'expSum'),
      node('ArgMax', ['logits'], 'position', { axis: 1 }),
      node('Cast', ['position'], 'argMax', { to: 1 }),
      node('Unsqueeze', ['targets', 'columns'], 'places'),
      node('GatherElements', ['logits', 'places'], 'target', { axis: 1 }),
      node('Concat', ['max', 'expSum', 'argMax', 'target'], 'output', { axis: 1 }),
    ],
  },
  'birdbone.LogitDivergence': {
    inputs: float32('base', 'now'),
    shape: rowsOf('base'),
    nodes: () => [
      integers('columns', [1]),
      node('Softmax', ['base'], 'probabilities', { axis: 1 }),
      node('Sub', ['base', 'now'], 'difference'),
      node('Mul', ['probabilities', 'difference'], 'weighted'),
      node('ReduceSum', ['weighted', 'columns'], 'output', { keepdims: 0 }),
    ],
  },
};
