import type { ByteSource } from '../files/bytes.js';
import { quoted } from '../files/quote.js';
import { runPickle } from './pickle-machine.js';
import { PickleReader } from './pickle-reader.js';
import { crcOf, crcProblem } from './storage-bytes.js';
import type { LoadedFile } from './torch-checkpoint.js';
import type { Complaints } from './torch-values.js';
import { WeightsRuntime } from './weights-runtime.js';
import { readZipMembers, type ZipMember } from './zip-members.js';

/** All members are in one folder, which torch names after the file. */
interface TorchLayout {
  readonly pickle: ZipMember;
  /** `data/<key>`, by key. */
  readonly storages: ReadonlyMap<string, ZipMember>;
}

/** Texts beside the pickle, of a few characters each, and what is allowed in them. */
const NOTES: ReadonlyMap<string, RegExp> = new Map([
  ['version', /^\d{1,3}\n?$/],
  ['byteorder', /^(?:little|big)$/],
  ['.format_version', /^\d{1,3}\n?$/],
  ['.storage_alignment', /^\d{1,9}\n?$/],
  ['.data/serialization_id', /^\d{1,64}$/],
]);
const MAX_NOTE_BYTES = 64;
/** Members that only TorchScript archives have: compiled code, and what it needs. */
const SCRIPT_MEMBER = /^[^/]+\/(?:constants\.pkl$|code\/|bytecode\.pkl$)/;
/** A pickle's bytes stand for several times as much memory, which is bounded by itself. */
const MAX_PICKLE_BYTES = 256 * 1024 * 1024;

/**
 * The checkpoint's value and storages in a zip archive that `torch.save` wrote: `<folder>/data.pkl`, the bytes of storages in
 * `<folder>/data/<key>`, and notes. What is interpreted has its CRC checked first; the storages' are checked as they are read.
 * Source: torch/serialization.py (`_save`, `_load`), caffe2/serialize/inline_container.h.
 */
export function readTorchArchive(file: ByteSource, complain: Complaints): LoadedFile {
  const { pickle, storages } = readTorchLayout(file, complain);
  const here: Complaints = {
    fail: (problem) => complain.fail(`data.pkl, ${problem}`),
    refuse: (problem) => complain.refuse(`data.pkl, ${problem}`),
  };
  const runtime = new WeightsRuntime(here);
  const end = pickle.start + pickle.byteLength;
  const reader = new PickleReader(file, { start: pickle.start, end, origin: pickle.start }, here.fail);
  const value = runPickle(reader, runtime, here.fail);
  if (reader.bytesLeft > 0) here.fail(`${reader.bytesLeft} bytes follow its STOP`);
  matchStorages(runtime, storages, complain.fail);
  return { file, value, storages };
}

/** The members of an archive by their part in the layout, all of which have one. */
function readTorchLayout(file: ByteSource, complain: Complaints): TorchLayout {
  const members = readZipMembers(file, complain, (name) => {
    if (SCRIPT_MEMBER.test(name))
      complain.refuse(`it is a TorchScript archive, which has code in it (${quoted(name)})`);
  });
  const pickles = [...members.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [pickleName] = pickles;
  if (pickleName === undefined || pickles.length > 1) {
    return complain.refuse(`it is a zip archive with ${pickles.length} members <name>/data.pkl; torch writes one`);
  }
  const folder = pickleName.slice(0, -'data.pkl'.length);
  const storages = new Map<string, ZipMember>();
  for (const [name, member] of members) {
    const inside = name.startsWith(folder) ? name.slice(folder.length) : undefined;
    const key = inside === undefined ? undefined : /^data\/([^/]+)$/.exec(inside)?.[1];
    if (key !== undefined) storages.set(key, member);
    else if (inside !== undefined && NOTES.has(inside)) checkNote(file, inside, member, complain);
    else if (name !== pickleName) complain.fail(`it has the member ${quoted(name)}, which torch.save does not write`);
  }
  const pickle = members.get(pickleName)!;
  if (pickle.byteLength > MAX_PICKLE_BYTES) {
    complain.refuse(`data.pkl has ${pickle.byteLength} bytes; at most ${MAX_PICKLE_BYTES} are read`);
  }
  checkCrc(file, pickle, complain.fail);
  return { pickle, storages };
}

function checkNote(file: ByteSource, name: string, member: ZipMember, { fail, refuse }: Complaints): void {
  if (member.byteLength > MAX_NOTE_BYTES) fail(`member ${quoted(member.name)} has ${member.byteLength} bytes`);
  const bytes = Buffer.alloc(member.byteLength);
  file.readSync(member.start, bytes);
  checkCrc(file, member, fail);
  const text = bytes.toString('latin1');
  if (!NOTES.get(name)!.test(text)) fail(`member ${quoted(member.name)} holds ${quoted(text)}`);
  if (text === 'big') refuse('its values are stored with the most significant byte first (byteorder: big)');
}

function checkCrc(file: ByteSource, member: ZipMember, fail: (problem: string) => never): void {
  const found = crcOf(file, member);
  if (found !== member.crc32) fail(`member ${quoted(member.name)}: ${crcProblem(member.crc32, found)}`);
}

/** Each storage of the pickle has a member of its size, and no member is left over: it could hold anything. */
function matchStorages(
  { storages }: WeightsRuntime,
  members: ReadonlyMap<string, ZipMember>,
  fail: (problem: string) => never,
): void {
  for (const [key, { byteLength }] of storages) {
    const member = members.get(key);
    if (member === undefined) {
      fail(`it lacks the member ${quoted(`data/${key}`)}, a storage of ${byteLength} bytes`);
    } else if (member.byteLength !== byteLength) {
      fail(`member ${quoted(member.name)} has ${member.byteLength} bytes, and data.pkl says ${byteLength}`);
    }
  }
  for (const [key, { name }] of members) {
    if (!storages.has(key)) fail(`it has the member ${quoted(name)}, which nothing refers to`);
  }
}
