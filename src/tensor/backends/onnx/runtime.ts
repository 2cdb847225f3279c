import { createRequire } from 'node:module';
import { freeMemory } from '../../free-memory.js';
import { type ElementType, encodeGraph, type Graph } from './graph.js';

/** Values that a graph reads or writes in place, and their shape. */
export interface GraphValue {
  readonly data: Float32Array | Int32Array | Float64Array;
  readonly shape: readonly number[];
}

/** ONNX Runtime's CPU library, called synchronously on memory that stays where it is. */
export interface OnnxRuntime {
  readonly version: string;
  readonly threads: number;
  /** Runs a graph; its result is written into `output`. The graph is compiled at its first use under `name`. */
  run(name: string, graph: () => Graph, inputs: Readonly<Record<string, GraphValue>>, output: GraphValue): void;
  close(): void;
}

/** What is used of `onnxruntime-node`: its private synchronous binding, and the tensor class that the binding reads. */
export interface OnnxLibrary {
  readonly version: string;
  readonly binding: { InferenceSession: new () => Session };
  readonly Tensor: new (type: string, data: unknown, shape: readonly number[]) => object;
}

interface Session {
  loadModel(buffer: ArrayBufferLike, byteOffset: number, byteLength: number, options: object): void;
  run(inputs: object, outputs: object, options: object): object;
  dispose(): void;
}

/**
 * Loads the private binding of the installed `onnxruntime-node`. The public API copies every output and takes a turn of the
 * event loop for each call, which matrix products of small models do not survive. Pinned to an exact version in package.json;
 * `openOnnxRuntime` tries it out before anything relies on it.
 *
 * Its telemetry, which on Linux and macOS writes an identifier into the user's cache folder and sends events, is turned off first:
 * the native library reads the variable once, when it starts (microsoft/onnxruntime#27379). Whoever sets it keeps what they set.
 */
export function requireOnnxLibrary(): OnnxLibrary {
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
  const require = createRequire(import.meta.url);
  const { version } = require('onnxruntime-node/package.json') as { version: string };
  const { binding, initOrt } = require('onnxruntime-node/dist/binding.js') as {
    binding: OnnxLibrary['binding'];
    initOrt: () => void;
  };
  initOrt();
  const { Tensor } = require('onnxruntime-node') as { Tensor: OnnxLibrary['Tensor'] };
  return { version, binding, Tensor };
}

/** The library ready for use, after it has computed one product right. Throws whatever keeps it from that. */
export function openOnnxRuntime(threads: number, load: () => OnnxLibrary = requireOnnxLibrary): OnnxRuntime {
  const library = load();
  const sessions = new Map<string, Session>();
  const tensor = ({ data, shape }: GraphValue) => new library.Tensor(elementType(data), data, shape);
  const runtime: OnnxRuntime = {
    version: library.version,
    threads,
    run(name, graph, inputs, output) {
      let session = sessions.get(name);
      if (session === undefined) {
        session = compile(library, graph(), threads);
        sessions.set(name, session);
      }
      const feeds = Object.fromEntries(Object.entries(inputs).map(([input, value]) => [input, tensor(value)]));
      const results = session.run(feeds, { output: tensor(output) }, {});
      for (const { data } of Object.values(results) as Pick<GraphValue, 'data'>[]) dropCopy(data, output);
    },
    close() {
      for (const session of sessions.values()) session.dispose();
      sessions.clear();
    },
  };
  tryOut(runtime);
  return runtime;
}

/** What the binding has written in place it returns as a copy as well, which nobody looks at: as many bytes again. */
function dropCopy(result: GraphValue['data'], { data }: GraphValue): void {
  if (result.buffer !== data.buffer) freeMemory(result);
}

function elementType(data: GraphValue['data']): ElementType {
  if (data instanceof Float32Array) return 'float32';
  return data instanceof Int32Array ? 'int32' : 'float64';
}

function compile(library: OnnxLibrary, graph: Graph, threads: number): Session {
  const bytes = encodeGraph(graph);
  const session = new library.binding.InferenceSession();
  session.loadModel(bytes.buffer, bytes.byteOffset, bytes.byteLength, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // A plan of all that a graph holds between its steps is kept for each shape that comes, with room for it.
    enableMemPattern: false,
    // Each session has threads of its own, which otherwise spin for a while after each call and take the cores from the next.
    extra: { session: { force_spinning_stop: '1' } },
  });
  return session;
}

/** A later version may run asynchronously or return its result elsewhere: both would leave the output as it was. */
function tryOut(runtime: OnnxRuntime): void {
  const product: Graph = {
    inputs: { a: 'float32', b: 'float32' },
    nodes: [{ op: 'MatMul', inputs: ['a', 'b'], output: 'output' }],
  };
  const heap = new ArrayBuffer(128);
  const a = new Float32Array(heap, 16, 2);
  const output = new Float32Array(heap, 64, 1);
  a.set([2, 3]);
  runtime.run(
    'try out',
    () => product,
    { a: { data: a, shape: [1, 2] }, b: { data: a, shape: [2, 1] } },
    { data: output, shape: [1, 1] },
  );
  if (output[0] !== 13) throw new Error(`onnxruntime-node ${runtime.version} does not write results in place.`);
}
