import type { ByteSource } from '../files/bytes.js';
import { quoted } from '../files/quote.js';
import type { Complaints } from './torch-values.js';
import { readZipDirectory, SIZES_FOLLOW, type ZipEntry } from './zip-directory.js';
import { pagedBytes } from './zip-end.js';
import { readZipExtra } from './zip-extra.js';

/** One member's bytes in the archive's file. */
export interface ZipMember {
  readonly name: string;
  readonly start: number;
  readonly byteLength: number;
  readonly crc32: number;
}

const HEADER_SIGNATURE = 0x04034b50;
const HEADER_BYTES = 30;
const DESCRIPTOR_SIGNATURE = 0x08074b50;
/** Signature, CRC, and twice the size in 4 or in 8 bytes. */
const DESCRIPTOR_BYTES = { narrow: 16, wide: 24 };
const ELSEWHERE = 0xffff_ffff;

/**
 * The members of a zip archive by name. Their local headers say what the central directory says, and headers, data and
 * descriptors fill the file from its first byte to the directory, one after the other: no byte belongs to two members and
 * none to nobody. So no other reader can find a member, a name or a size that this one does not. `vetName` is asked about each
 * name before anything else is, and throws for one that says what the archive is.
 */
export function readZipMembers(
  file: ByteSource,
  complain: Complaints,
  vetName: (name: string) => void,
): ReadonlyMap<string, ZipMember> {
  const { end, entries } = readZipDirectory(file, complain, vetName);
  const byPlace = entries.slice().sort((left, right) => left.headerStart - right.headerStart);
  const members = new Map<string, ZipMember>();
  const bytesAt = pagedBytes(file);
  let at = 0;
  for (const [i, entry] of byPlace.entries()) {
    const limit = byPlace[i + 1]?.headerStart ?? end.directoryStart;
    const here = (problem: string): never => complain.fail(`member ${quoted(entry.name)} ${problem}`);
    if (entry.headerStart !== at) {
      here(
        entry.headerStart < at ? 'overlaps the one before it' : `comes after ${entry.headerStart - at} hidden bytes`,
      );
    }
    const start = checkHeader(bytesAt, entry, { limit, fail: here });
    checkDescriptor(bytesAt, entry, { start: start + entry.byteLength, limit, fail: here });
    members.set(entry.name, { name: entry.name, start, byteLength: entry.byteLength, crc32: entry.crc32 });
    at = limit;
  }
  if (at !== end.directoryStart) complain.fail(`${end.directoryStart - at} bytes before its directory are no member's`);
  return members;
}

type BytesAt = ReturnType<typeof pagedBytes>;

/** Where the member's data starts, once its local header agrees with the directory. */
function checkHeader(
  bytesAt: BytesAt,
  entry: ZipEntry,
  { limit, fail }: { readonly limit: number; readonly fail: (problem: string) => never },
): number {
  if (entry.headerStart + HEADER_BYTES > limit) fail('overlaps the one after it');
  const header = Buffer.from(bytesAt(entry.headerStart, HEADER_BYTES));
  if (header.readUInt32LE(0) !== HEADER_SIGNATURE) fail('does not start with a header');
  const nameBytes = header.readUInt16LE(26);
  const extraBytes = header.readUInt16LE(28);
  const start = entry.headerStart + HEADER_BYTES + nameBytes + extraBytes;
  if (start + entry.byteLength > limit) fail(`has ${entry.byteLength} bytes, and reaches into what comes next`);
  const rest = bytesAt(entry.headerStart + HEADER_BYTES, nameBytes + extraBytes);
  if (!rest.subarray(0, nameBytes).equals(Buffer.from(entry.name))) fail('has another name in its own header');
  if (header.readUInt16LE(6) !== entry.flags || header.readUInt16LE(8) !== 0) {
    fail('has other flags or another method in its own header');
  }
  const { zip64 } = readZipExtra(rest.subarray(nameBytes), fail);
  checkSizes(header, zip64, { entry, fail });
  return start;
}

/**
 * Sizes and CRC of the local header: those of the directory, or zeros where they follow the data. torch's writer puts a zip64
 * field beside the zeros that has the sizes and then the header's place, each only if it needs 8 bytes.
 */
function checkSizes(
  header: Buffer,
  zip64: readonly number[] | undefined,
  { entry, fail }: { readonly entry: ZipEntry; readonly fail: (problem: string) => never },
): void {
  const { crc32, byteLength, headerStart } = entry;
  const [crc, stored, size] = [14, 18, 22].map((field) => header.readUInt32LE(field));
  const follows = (entry.flags & SIZES_FOLLOW) !== 0;
  const isEmpty = follows && crc === 0 && stored === 0 && size === 0;
  const says = (field: number | undefined) => field === Math.min(byteLength, ELSEWHERE);
  if (!isEmpty && !(crc === crc32 && says(stored) && says(size))) fail('has another size or CRC in its own header');
  const known = [byteLength, byteLength, headerStart];
  const isTrue = (zip64 ?? []).every((number) => known.includes(number)) && (zip64 ?? []).length <= known.length;
  if (!isTrue || (!isEmpty && stored === ELSEWHERE && zip64 === undefined)) fail('has another size in its zip64 field');
}

/** The copy of CRC and sizes after the data, which ends where the next member starts. */
function checkDescriptor(
  bytesAt: BytesAt,
  { flags, crc32, byteLength }: ZipEntry,
  { start, limit, fail }: { readonly start: number; readonly limit: number; readonly fail: (problem: string) => never },
): void {
  const length = limit - start;
  if ((flags & SIZES_FOLLOW) === 0) {
    if (length !== 0) fail(`is followed by ${length} hidden bytes`);
    return;
  }
  if (length !== DESCRIPTOR_BYTES.narrow && length !== DESCRIPTOR_BYTES.wide) {
    fail(`is followed by ${length} bytes, where its sizes take 16 or 24`);
  }
  const descriptor = bytesAt(start, length);
  const isWide = length === DESCRIPTOR_BYTES.wide;
  const sizes = [0, 1].map((i) =>
    isWide ? descriptor.readBigUInt64LE(8 + 8 * i) : BigInt(descriptor.readUInt32LE(8 + 4 * i)),
  );
  const isTrue =
    descriptor.readUInt32LE(0) === DESCRIPTOR_SIGNATURE &&
    descriptor.readUInt32LE(4) === crc32 &&
    sizes.every((size) => size === BigInt(byteLength));
  if (!isTrue) fail('has another size or CRC after its data');
}
