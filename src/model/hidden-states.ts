import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { Tensor3D } from '@tensorflow/tfjs-core';
import { writing } from '../checkpoint/index.js';
import { type Device, showValues } from '../tensor/index.js';
import type { TokenBatch } from './batches.js';
import { type ResidentStates, residentStates } from './resident-states.js';
import { StateMemory } from './state-memory.js';

/** Hidden states up to this size stay in memory unless the user says otherwise (`--memory`). */
export const DEFAULT_MEMORY_BYTES = 2 ** 30;

/** The hidden states of every batch between two blocks; each `store` replaces what the block before left there. */
export interface HiddenStates {
  readonly batches: readonly TokenBatch[];
  readonly hiddenSize: number;
  /** Whether those that are not on the device lie in a file rather than in memory. */
  readonly spilled: boolean;
  /** Bytes of those that stay on the device: the first batches. */
  readonly residentBytes: number;
  /** Batch i as [rows, columns, hiddenSize] row-major, until something is stored in its place. Not to be written to. */
  load(i: number): Promise<Float32Array>;
  /** Copies `values`, which stay the caller's. */
  store(i: number, values: Float32Array): Promise<void>;
  /** Batch i where it stays on the device, for whoever goes on there: the states' own, not to be disposed. Else undefined. */
  onDevice(i: number): Tensor3D | undefined;
  /** Stores what the device has made; the tensor stays the caller's. */
  storeTensor(i: number, values: Tensor3D, device: Device): Promise<void>;
  /** Drops everything; the file too. */
  close(): Promise<void>;
}

export interface HiddenStatesOptions {
  /** More than this together, and they go to a file. */
  readonly memoryBytes: number;
  /** Where that file is made; it is made when it is needed. */
  readonly spillFolder: string;
}

/** Where hidden states may be: `device`, if given, keeps the first of them as far as its own memory goes. */
export interface StatesRoom extends HiddenStatesOptions {
  readonly device?: Device | undefined;
}

/**
 * Makes empty hidden states for the batches. The first stay on the device as far as it has room; the rest is in memory when it fits
 * `memoryBytes`, else in one file, batch after batch. What is loaded is what was stored to the bit, wherever it was.
 */
export async function createHiddenStates(
  batches: readonly TokenBatch[],
  hiddenSize: number,
  { device, ...options }: StatesRoom,
): Promise<HiddenStates> {
  const lengths = batches.map((batch) => batch.rows * batch.columns * hiddenSize);
  const kept = device && residentStates(batches, hiddenSize, device);
  if (device === undefined || kept === undefined || kept.count === 0) {
    const arrays = await statesOnHost(lengths, options);
    return { batches, hiddenSize, residentBytes: 0, ...arrays, onDevice: () => undefined };
  }
  try {
    const rest = await statesOnHost(lengths.slice(kept.count), options);
    return partlyResident({ batches, hiddenSize, lengths }, { kept, rest, device });
  } catch (error) {
    kept.drop();
    throw error;
  }
}

/** The first batches on the device, as `kept` has them, and the others in `rest`. */
function partlyResident(
  {
    batches,
    hiddenSize,
    lengths,
  }: Pick<HiddenStates, 'batches' | 'hiddenSize'> & { readonly lengths: readonly number[] },
  { kept, rest, device }: { readonly kept: ResidentStates; readonly rest: HostStates; readonly device: Device },
): HiddenStates {
  const shapeOf = ({ rows, columns }: TokenBatch) => [rows, columns, hiddenSize];
  return {
    batches,
    hiddenSize,
    spilled: rest.spilled,
    residentBytes: kept.bytes,
    async load(i) {
      if (i >= kept.count) return rest.load(i - kept.count);
      return (await device.read(kept.get(i) ?? neverStored(i))) as Float32Array;
    },
    async store(i, values) {
      if (i >= kept.count) return rest.store(i - kept.count, values);
      checkLength(i, values, lengths);
      // A copy: the device may read them only when the tensor is first used.
      const tensor = device.upload(values.slice(), shapeOf(batches[i]!)) as Tensor3D;
      await kept.set(i, tensor).finally(() => tensor.dispose());
    },
    onDevice: (i) => (i < kept.count ? (kept.get(i) ?? neverStored(i)) : undefined),
    async storeTensor(i, values, on) {
      if (i < kept.count) await kept.set(i, values);
      else await rest.storeTensor(i - kept.count, values, on);
    },
    async close() {
      kept.drop();
      await rest.close();
    },
  };
}

type HostStates = Pick<HiddenStates, 'spilled' | 'load' | 'store' | 'storeTensor' | 'close'>;

/** In memory each batch has its place, which the block's output is written over: nothing is left for the garbage collector. */
async function statesOnHost(lengths: readonly number[], options: HiddenStatesOptions): Promise<HostStates> {
  if (bytesOf(lengths) > options.memoryBytes) {
    const arrays = await createArrays(lengths, options);
    return {
      ...arrays,
      storeTensor: async (i, values, device) => arrays.store(i, (await device.read(values)) as Float32Array),
    };
  }
  const memory = new StateMemory(lengths);
  const write = (i: number, values: Float32Array) => {
    checkLength(i, values, lengths);
    memory.write(i, values);
  };
  return {
    spilled: false,
    load: async (i) => memory.get(i) ?? neverStored(i),
    store: async (i, values) => write(i, values),
    storeTensor: (i, tensor, device) => showValues(tensor, device, (values) => write(i, values as Float32Array)),
    close: async () => memory.clear(),
  };
}

/** Arrays of fixed lengths that are stored and loaded whole, by number: in memory, or in a file. */
export interface SpillableArrays extends Pick<HiddenStates, 'spilled' | 'load' | 'close'> {
  /** Takes over `values`: the caller does not write to them afterwards. */
  store(i: number, values: Float32Array): Promise<void>;
}

/** Makes empty arrays of these lengths: in memory when they fit `memoryBytes` together, else in one file, one after the other. */
export async function createArrays(lengths: readonly number[], options: HiddenStatesOptions): Promise<SpillableArrays> {
  const spilled = bytesOf(lengths) > options.memoryBytes;
  return { spilled, ...(spilled ? await fileSlots(lengths, options.spillFolder) : memorySlots(lengths)) };
}

const bytesOf = (lengths: readonly number[]) => 4 * lengths.reduce((sum, length) => sum + length, 0);

type Slots = Omit<SpillableArrays, 'spilled'>;

function memorySlots(lengths: readonly number[]): Slots {
  const values: (Float32Array | undefined)[] = lengths.map(() => undefined);
  return {
    async load(i) {
      return values[i] ?? neverStored(i);
    },
    async store(i, stored) {
      checkLength(i, stored, lengths);
      values[i] = stored;
    },
    async close() {
      values.fill(undefined);
    },
  };
}

async function fileSlots(lengths: readonly number[], folder: string): Promise<Slots> {
  const offsets: number[] = [];
  lengths.reduce((offset, length, i) => {
    offsets[i] = offset;
    return offset + 4 * length;
  }, 0);
  const stored = new Set<number>();
  const file = path.join(folder, `hidden-states-${randomUUID()}.bin`);
  // An open file without a name is freed with its process, however that ends. Windows keeps the name of an open file.
  const named = process.platform === 'win32';
  const handle = await writing(file, async () => {
    await mkdir(folder, { recursive: true });
    const opened = await open(file, 'wx+', 0o600);
    if (!named) await unlink(file);
    return opened;
  });
  return {
    async load(i) {
      if (!stored.has(i)) neverStored(i);
      const values = new Float32Array(lengths[i]!);
      await transfer((bytes, at) => handle.read(bytes, 0, bytes.length, at), values, offsets[i]!);
      return values;
    },
    async store(i, values) {
      checkLength(i, values, lengths);
      await writing(file, () => transfer((bytes, at) => writePart(handle, bytes, at), values, offsets[i]!));
      stored.add(i);
    },
    async close() {
      await handle.close();
      if (named) await unlink(file);
    },
  };
}

const TRANSFER_BYTES = 2 ** 26;

type TransferPart = (bytes: Uint8Array, offset: number) => Promise<{ bytesRead: number }>;

/** Moves all bytes of `values` in pieces, carrying on after short reads and writes. */
async function transfer(part: TransferPart, values: Float32Array, offset: number): Promise<void> {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await part(bytes.subarray(done, done + TRANSFER_BYTES), offset + done);
    if (bytesRead === 0) throw new Error(`the hidden-state file ends at byte ${offset + done}`);
    done += bytesRead;
  }
}

async function writePart(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<{ bytesRead: number }> {
  const { bytesWritten } = await handle.write(bytes, 0, bytes.length, offset);
  return { bytesRead: bytesWritten };
}

function neverStored(i: number): never {
  throw new Error(`hidden states of batch ${i} were never stored`);
}

function checkLength(i: number, values: Float32Array, lengths: readonly number[]): void {
  if (values.length !== lengths[i]) throw new RangeError(`batch ${i} holds ${lengths[i]} values, not ${values.length}`);
}
