import { createRequire } from 'node:module';
import path from 'node:path';
import { type BackendWasm, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { BirdboneError } from '../../errors.js';
import { TFJS_BACKENDS } from '../device.js';
import { replaceKernels } from './replace-kernels.js';

const WASM = TFJS_BACKENDS.cpu;

/** WASM addresses 4 GiB; past that the module is aborted for good, so the budget leaves room for what a kernel takes itself. */
export const WASM_HEAP_BUDGET = 3 * 2 ** 30;

/** The part of tfjs's WASM module that its types leave to Emscripten's. */
interface EmscriptenHeap {
  _malloc(bytes: number): number;
  _free(address: number): void;
}

type Listener = (...args: unknown[]) => void;

/** The factory that importing the backend registered; tfjs drops it when a backend is closed. */
const factory = tf.findBackendFactory(WASM);

/**
 * Makes tfjs's WASM backend current, its kernels replaced by those that `replace` makes of the originals. Each allocation is
 * held against `budgetBytes` before it happens: beyond it, `out-of-memory` is thrown and everything stays usable.
 */
export async function openWasm(
  budgetBytes: number,
  replace: (originals: readonly tf.KernelConfig[]) => readonly tf.KernelConfig[],
): Promise<{ close(): Promise<void> }> {
  const require = createRequire(import.meta.url);
  setWasmPaths(`${path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  tf.enableProdMode();
  if (tf.findBackendFactory(WASM) === null) tf.registerBackend(WASM, factory);
  const restoreKernels = replaceKernels(replace(tf.getKernelsForBackend(WASM)));
  await keepProcessListeners(() => tf.setBackend(WASM));
  holdToBudget(tf.backend() as BackendWasm, budgetBytes);
  return {
    async close() {
      await keepProcessListeners(() => tf.removeBackend(WASM));
      restoreKernels();
    },
  };
}

/**
 * Undoes what Emscripten's module does to the process: as it starts it adds handlers that print its whole source at any
 * error of anybody, and as it ends it removes everybody's handlers.
 */
async function keepProcessListeners(work: () => unknown): Promise<void> {
  const events = ['uncaughtException', 'unhandledRejection'];
  const before = new Map(events.map((event) => [event, process.rawListeners(event)]));
  await work();
  for (const [event, listeners] of before) {
    const now = process.rawListeners(event) as Listener[];
    for (const added of now.filter((listener) => !listeners.includes(listener))) process.removeListener(event, added);
    const removed = (listeners as Listener[]).filter((listener) => !now.includes(listener));
    for (const listener of removed) process.on(event, listener);
  }
}

function holdToBudget(backend: BackendWasm, budgetBytes: number): void {
  const sizes = new WeakMap<object, number>();
  let live = 0;
  const allocate = backend.move.bind(backend);
  backend.move = (dataId, values, shape, dtype, refCount) => {
    const bytes = tf.util.sizeFromShape(shape) * tf.util.bytesPerElement(dtype);
    if (live + bytes > budgetBytes) throw outOfMemory(bytes, live, budgetBytes);
    allocate(dataId, values, shape, dtype, refCount);
    live += bytes;
    sizes.set(dataId, bytes);
  };
  const release = backend.disposeData.bind(backend);
  backend.disposeData = (dataId, force) => {
    const released = release(dataId, force);
    if (released) {
      live -= sizes.get(dataId) ?? 0;
      sizes.delete(dataId);
    }
    return released;
  };
  alignAllocations(backend.wasm as unknown as EmscriptenHeap, (bytes) => outOfMemory(bytes, live, budgetBytes));
}

/** A cache line, and the widest vector of a CPU. */
const ALIGNMENT = 64;

/**
 * Makes every tensor start at a cache line, so that neither speed nor the last bit of a vectorised sum depends on what was
 * allocated before; and makes a failed allocation throw, whose null tfjs would take for an address and write there.
 */
function alignAllocations(module: EmscriptenHeap, failure: (bytes: number) => Error): void {
  // The first call replaces the functions by faster ones: only what stands there afterwards can be wrapped.
  module._free(module._malloc(1));
  const { _malloc: allocate, _free: free } = module;
  const origins = new Map<number, number>();
  module._malloc = (bytes) => {
    // An address above 2^31 comes as a negative number.
    const origin = allocate(bytes + ALIGNMENT - 1) >>> 0;
    if (origin === 0) throw failure(bytes);
    const address = Math.ceil(origin / ALIGNMENT) * ALIGNMENT;
    origins.set(address, origin);
    return address;
  };
  module._free = (address) => {
    free(origins.get(address) ?? address);
    origins.delete(address);
  };
}

function outOfMemory(bytes: number, live: number, budgetBytes: number): BirdboneError {
  const mebibytes = (count: number) => `${Math.ceil(count / 2 ** 20)} MiB`;
  return new BirdboneError(
    'out-of-memory',
    `The CPU device has no room for a tensor of ${mebibytes(bytes)}: ${mebibytes(live)} of its ${mebibytes(budgetBytes)} are in use.`,
    { suggestions: ['Use smaller batches of windows, or a shorter --context', 'Use a GPU: --device webgpu'] },
  );
}
