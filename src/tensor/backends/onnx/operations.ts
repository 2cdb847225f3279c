import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { type KernelConfig, type KernelFunc, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { OperationKernel } from '../../kernels.js';
import { attentionKernel } from './attention.js';
import { type ElementType, type Graph, type GraphNode, integers, scalar } from './graph.js';
import type { GraphValue, OnnxRuntime } from './runtime.js';

type Inputs = Readonly<Record<string, TensorInfo>>;

/** One of our operations (ops/) as one graph, whose inputs carry the operation's own names for them. */
interface FusedOperation {
  readonly inputs: Readonly<Record<string, ElementType>>;
  readonly shape: (inputs: Inputs) => readonly number[];
  /** The inputs that are cut along their first `axes` dimensions, as the result is; the others go into every call whole. */
  readonly sliced?: { readonly inputs: readonly string[]; readonly axes: 1 | 2 };
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
    for (const call of callsOf(operation, { feeds, output: value(output) })) {
      runtime.run(`${kernelName} ${attribute}`, graph, call.feeds, call.output);
    }
    return output;
  };
}

interface Call {
  readonly feeds: Readonly<Record<string, GraphValue>>;
  readonly output: GraphValue;
}

/** Elements of one call's largest input, at most: what lies between the steps then stays in a core's cache, and takes little room. */
const CALL_ELEMENTS = 2 ** 18;
/** Rows that a call begins at: each is as aligned as it is in the whole, and so are the sums along it, to their last bits. */
const ALIGNED_ROWS = 16;

/** The whole call, cut into some rows at a time where the operation goes row by row. */
function* callsOf({ sliced }: FusedOperation, whole: Call): Generator<Call> {
  if (sliced === undefined) return yield whole;
  const inputs = sliced.inputs.map((name) => whole.feeds[name]!);
  const rows = util.sizeFromShape(inputs[0]!.shape.slice(0, sliced.axes));
  const width = Math.max(...inputs.map(({ data }) => data.length)) / rows;
  const step = Math.max(1, Math.floor(CALL_ELEMENTS / width / ALIGNED_ROWS)) * ALIGNED_ROWS;
  if (step >= rows) return yield whole;
  for (let start = 0; start < rows; start += step) {
    const count = Math.min(step, rows - start);
    const cut = ({ data, shape }: GraphValue): GraphValue => {
      const size = data.length / rows;
      const leading = sliced.axes === 1 ? [count] : [1, count];
      return {
        data: data.subarray(start * size, (start + count) * size),
        shape: [...leading, ...shape.slice(sliced.axes)],
      };
    };
    const parts = sliced.inputs.map((name) => [name, cut(whole.feeds[name]!)]);
    yield { feeds: { ...whole.feeds, ...Object.fromEntries(parts) }, output: cut(whole.output) };
  }
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
    sliced: { inputs: ['x'], axes: 1 },
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
    sliced: { inputs: ['x'], axes: 2 },
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
    sliced: { inputs: ['gate', 'up'], axes: 1 },
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
    sliced: { inputs: ['logits', 'targets'], axes: 1 },
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
    sliced: { inputs: ['base', 'now'], axes: 1 },
    nodes: () => [
      integers('columns', [1]),
      node('Softmax', ['base'], 'probabilities', { axis: 1 }),
      node('Sub', ['base', 'now'], 'difference'),
      node('Mul', ['probabilities', 'difference'], 'weighted'),
      node('ReduceSum', ['weighted', 'columns'], 'output', { keepdims: 0 }),
    ],
  },
};
