import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { Tensor3D } from '@tensorflow/tfjs-core';
import { writing } from '../checkpoint/index.js';
import type { Device } from '../tensor/index.js';
import type { TokenBatch } from './batches.js';
import { type ResidentStates, residentStates } from './resident-states.js';

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
  /** Batch i as [rows, columns, hiddenSize] row-major. Not to be written to. */
  load(i: number): Promise<Float32Array>;
  /** Takes over `values`: the caller does not write to them afterwards. */
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
    const arrays = await createArrays(lengths, options);
    const storeTensor: HiddenStates['storeTensor'] = async (i, values, on) =>
      arrays.store(i, (await on.read(values)) as Float32Array);
    return { batches, hiddenSize, residentBytes: 0, ...arrays, onDevice: () => undefined, storeTensor };
  }
  try {
    const rest = await createArrays(lengths.slice(kept.count), options);
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
  { kept, rest, device }: { readonly kept: ResidentStates; readonly rest: SpillableArrays; readonly device: Device },
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
      const tensor = device.upload(values, shapeOf(batches[i]!)) as Tensor3D;
      await kept.set(i, tensor).finally(() => tensor.dispose());
    },
    onDevice: (i) => (i < kept.count ? (kept.get(i) ?? neverStored(i)) : undefined),
    async storeTensor(i, values, on) {
      if (i < kept.count) await kept.set(i, values);
      else await rest.store(i - kept.count, (await on.read(values)) as Float32Array);
    },
    async close() {
      kept.drop();
      await rest.close();
    },
  };
}

/** Arrays of fixed lengths that are stored and loaded whole, by number: in memory, or in a file. */
export type SpillableArrays = Pick<HiddenStates, 'spilled' | 'load' | 'store' | 'close'>;

/** Makes empty arrays of these lengths: in memory when they fit `memoryBytes` together, else in one file, one after the other. */
export async function createArrays(lengths: readonly number[], options: HiddenStatesOptions): Promise<SpillableArrays> {
  const totalBytes = 4 * lengths.reduce((sum, length) => sum + length, 0);
  const spilled = totalBytes > options.memoryBytes;
  return { spilled, ...(spilled ? await fileSlots(lengths, options.spillFolder) : memorySlots(lengths)) };
}

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
