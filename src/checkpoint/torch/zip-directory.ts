import type { ByteSource } from '../files/bytes.js';
import { quoted } from '../files/quote.js';
import { decodeText } from './pickle-text.js';
import type { Complaints } from './torch-values.js';
import { readZipEnd, type ZipEnd } from './zip-end.js';
import { readZipExtra } from './zip-extra.js';

/** One member as the central directory has it. */
export interface ZipEntry {
  readonly name: string;
  readonly flags: number;
  readonly crc32: number;
  /** Stored as it is: the size in the archive is the size. */
  readonly byteLength: number;
  /** Where its local header starts. */
  readonly headerStart: number;
}

const ENTRY_SIGNATURE = 0x02014b50;
const ENTRY_BYTES = 46;
/** One for each storage; the largest published files have some thousands. Headers of this many take 45 MB. */
const MAX_MEMBERS = 30_000;
const MAX_DIRECTORY_BYTES = 16 * 1024 * 1024;
/** A long path; torch's names have some twenty characters, and the folder's. */
const MAX_NAME_BYTES = 512;

/** Bit 3: sizes follow the data. Bit 11: names are UTF-8. torch sets both. */
export const SIZES_FOLLOW = 0x8;
const UTF8_NAME = 0x800;
const FLAGS: readonly (readonly [bit: number, what: string])[] = [
  [0x1, 'encrypted'],
  [0x20, 'a patch of another file'],
  [0x40, 'strongly encrypted'],
  [0x2000, 'hidden by encryption of the directory'],
];

/** File kinds in the upper half of the attributes, as Unix has them; 0 is none in particular. */
const REGULAR_KINDS = new Set([0, 0o10]);
const SYMBOLIC_LINK = 0o12;

/**
 * The members that an archive's central directory lists, in its order: stored (torch compresses nothing), not encrypted,
 * regular files, each name once. Where their bytes are is checked by `locateMembers`.
 */
export function readZipDirectory(
  file: ByteSource,
  complain: Complaints,
  vetName: (name: string) => void,
): { end: ZipEnd; entries: ZipEntry[] } {
  const { fail } = complain;
  const end = readZipEnd(file, fail);
  if (end.members > MAX_MEMBERS || end.directoryBytes > MAX_DIRECTORY_BYTES) {
    complain.refuse(`it has ${end.members} members; at most ${MAX_MEMBERS} are read`);
  }
  if (end.members * ENTRY_BYTES > end.directoryBytes) {
    fail(`it declares ${end.members} members, for which its directory of ${end.directoryBytes} bytes has no room`);
  }
  const directory = Buffer.alloc(end.directoryBytes);
  file.readSync(end.directoryStart, directory);
  const entries: ZipEntry[] = [];
  const names = new Set<string>();
  let at = 0;
  while (entries.length < end.members) {
    const { entry, length } = readEntry(directory, at, { ...complain, vetName });
    if (names.has(entry.name)) fail(`it has two members ${quoted(entry.name)}`);
    names.add(entry.name);
    entries.push(entry);
    at += length;
  }
  if (at !== directory.length) fail(`its directory has ${directory.length - at} bytes after the last member`);
  return { end, entries };
}

function readEntry(
  directory: Buffer,
  at: number,
  complain: Complaints & { readonly vetName: (name: string) => void },
): { entry: ZipEntry; length: number } {
  const { fail } = complain;
  if (at + ENTRY_BYTES > directory.length || directory.readUInt32LE(at) !== ENTRY_SIGNATURE) {
    fail(`its directory has no entry at its byte ${at}`);
  }
  const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => directory.readUInt16LE(at + field));
  const length = ENTRY_BYTES + nameBytes! + extraBytes! + commentBytes!;
  if (at + length > directory.length) fail(`the entry at byte ${at} of its directory is cut off`);
  const nameEnd = at + ENTRY_BYTES + nameBytes!;
  const name = readName(directory.subarray(at + ENTRY_BYTES, nameEnd), complain);
  complain.vetName(name);
  const here: Complaints = {
    fail: (problem) => fail(`member ${quoted(name)} ${problem}`),
    refuse: (problem) => complain.refuse(`member ${quoted(name)} ${problem}`),
  };
  if (commentBytes !== 0) here.fail('has a comment');
  const flags = directory.readUInt16LE(at + 8);
  checkKind(directory, at, here);
  const extra = readZipExtra(directory.subarray(nameEnd, nameEnd + extraBytes!), here.fail);
  const [byteLength, storedLength, headerStart] = extra.wide(
    [directory.readUInt32LE(at + 24), directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 42)],
    here.fail,
  );
  if (byteLength !== storedLength) here.fail(`is stored, and has two sizes, ${byteLength} and ${storedLength}`);
  const entry = {
    name,
    flags,
    crc32: directory.readUInt32LE(at + 16),
    byteLength: byteLength!,
    headerStart: headerStart!,
  };
  return { entry, length };
}

/** Refuses what is not a stored, plain, regular file. */
function checkKind(directory: Buffer, at: number, { fail, refuse }: Complaints): void {
  const flags = directory.readUInt16LE(at + 8);
  for (const [bit, what] of FLAGS) if ((flags & bit) !== 0) refuse(`is ${what} (flag 0x${bit.toString(16)})`);
  if ((flags & ~(SIZES_FOLLOW | UTF8_NAME)) !== 0) fail(`has the flags 0x${flags.toString(16)}`);
  const method = directory.readUInt16LE(at + 10);
  if (method !== 0) refuse(`is compressed (method ${method}); torch stores its members as they are`);
  if (directory.readUInt16LE(at + 34) !== 0) fail('lies in another part of the archive');
  const attributes = directory.readUInt32LE(at + 38);
  const kind = attributes >>> 28;
  if (kind === SYMBOLIC_LINK) fail('is a symbolic link');
  if (!REGULAR_KINDS.has(kind) || (attributes & 0x10) !== 0) fail('is no regular file');
}

/** A relative path of plain parts. Nothing is ever written under it; other tools would. */
function readName(bytes: Uint8Array, { fail }: Complaints): string {
  const name = bytes.length > MAX_NAME_BYTES ? undefined : decodeText(bytes);
  if (name === undefined || name === '') return fail('it has a member whose name is empty, too long or not UTF-8');
  const parts = name.split('/');
  const isPlain = parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (!isPlain || /[\\:]|\p{Cc}/u.test(name)) fail(`it has a member ${quoted(name)}, whose path leads out of it`);
  return name;
}
