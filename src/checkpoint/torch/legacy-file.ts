import type { ByteSource } from '../files/bytes.js';
import { quoted } from '../files/quote.js';
import { runPickle } from './pickle-machine.js';
import { PickleReader } from './pickle-reader.js';
import { describeValue, PickleDict, PickleList, type PickleValue } from './pickle-values.js';
import type { StorageRange } from './storage-bytes.js';
import type { LoadedFile } from './torch-checkpoint.js';
import type { Complaints, Storage } from './torch-values.js';
import { elementBytesOf, WeightsRuntime } from './weights-runtime.js';

/** torch's own mark: the value of the first pickle. */
export const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;
/** Before each storage comes the number of its elements, a little-endian i64. */
const COUNT_BYTES = 8;

/**
 * The checkpoint's value and storages in a file of torch before 1.6: five pickles (magic number, protocol, system, value, keys
 * of the storages in order), then each storage, up to the file's last byte. Source: torch/serialization.py (`_legacy_save`).
 */
export function readLegacyFile(file: ByteSource, complain: Complaints): LoadedFile {
  const runtime = new WeightsRuntime(complain);
  const reader = new PickleReader(file, { start: 0, end: file.size }, complain.fail);
  const next = () => runPickle(reader, runtime, complain.fail);
  const magic = next();
  if (magic !== LEGACY_MAGIC) {
    complain.refuse(`it is a pickle of ${describeValue(magic)}, and not one that torch.save wrote`);
  }
  const protocol = next();
  if (protocol !== LEGACY_PROTOCOL) {
    complain.refuse(
      `its protocol is ${typeof protocol === 'number' ? protocol : describeValue(protocol)}; the only one of torch is ${LEGACY_PROTOCOL}`,
    );
  }
  checkSystem(next(), complain);
  const value = next();
  const keys = keysOf(next(), runtime.storages, complain.fail);
  return { file, value, storages: locateStorages(file, { start: reader.offset, keys, runtime }, complain.fail) };
}

function checkSystem(system: PickleValue, complain: Complaints): void {
  if (!(system instanceof PickleDict)) complain.fail(`it describes its system by ${describeValue(system)}`);
  if (system.entries.get('little_endian') !== true) {
    complain.refuse('its values are stored with the most significant byte first (little_endian: False)');
  }
}

/** The keys in the order of their storages: those that the value mentions, each once. */
function keysOf(
  value: PickleValue,
  storages: ReadonlyMap<string, Storage>,
  fail: (problem: string) => never,
): readonly string[] {
  if (!(value instanceof PickleList)) fail(`it lists its storages in ${describeValue(value)}`);
  const keys = new Set<string>();
  for (const key of value.items) {
    if (typeof key !== 'string' || !storages.has(key)) fail('it lists a storage that nothing refers to');
    if (keys.has(key)) fail(`it lists the storage ${quoted(key)} twice`);
    keys.add(key);
  }
  for (const key of storages.keys()) if (!keys.has(key)) fail(`it does not list the storage ${quoted(key)}`);
  return [...keys];
}

function locateStorages(
  file: ByteSource,
  { start, keys, runtime }: { start: number; keys: readonly string[]; runtime: WeightsRuntime },
  fail: (problem: string) => never,
): Map<string, StorageRange> {
  const ranges = new Map<string, StorageRange>();
  let at = start;
  for (const key of keys) {
    const { byteLength, type } = runtime.storages.get(key)!;
    if (at + COUNT_BYTES + byteLength > file.size) {
      fail(
        `storage ${quoted(key)} has ${byteLength} bytes from byte ${at + COUNT_BYTES} on, and the file ${file.size}`,
      );
    }
    const count = Buffer.alloc(COUNT_BYTES);
    file.readSync(at, count);
    const elements = count.readBigInt64LE(0);
    if (elements !== BigInt(byteLength / elementBytesOf(type))) {
      fail(`storage ${quoted(key)} has ${elements} elements, and its pickle says ${byteLength / elementBytesOf(type)}`);
    }
    ranges.set(key, { start: at + COUNT_BYTES, byteLength });
    at += COUNT_BYTES + byteLength;
  }
  if (at !== file.size) fail(`${file.size - at} bytes follow its last storage`);
  return ranges;
}
