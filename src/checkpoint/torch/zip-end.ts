import type { ByteSource } from '../files/bytes.js';

/** Where the central directory is, by the records that end an archive. */
export interface ZipEnd {
  readonly directoryStart: number;
  readonly directoryBytes: number;
  readonly members: number;
}

const END_BYTES = 22;
const END_SIGNATURE = 0x06054b50;
const LOCATOR_BYTES = 20;
const LOCATOR_SIGNATURE = 0x07064b50;
const END64_BYTES = 56;
const END64_SIGNATURE = 0x06064b50;
/** What a field of the older record holds when its value is in the newer one. */
const IN_ZIP64 = { u16: 0xffff, u32: 0xffff_ffff };

/**
 * The end of a zip archive: the end record is the file's last bytes and has no comment, a zip64 record and its locator come
 * right before it if they come at all, and the central directory right before those. Where both records give a number, they
 * agree. So two readers cannot find different directories. `fail` throws. Source: PKWARE's APPNOTE.TXT, 4.3.14 to 4.3.16.
 */
export function readZipEnd(file: ByteSource, fail: (problem: string) => never): ZipEnd {
  if (file.size < END_BYTES) fail(`it has ${file.size} bytes, where an empty zip archive has ${END_BYTES}`);
  const endStart = file.size - END_BYTES;
  const end = bytesAt(file, endStart, END_BYTES);
  if (end.readUInt32LE(0) !== END_SIGNATURE) {
    fail('its last 22 bytes are no end record of a zip archive: it is cut off, or something was added to it');
  }
  if (end.readUInt16LE(20) !== 0) fail('its end record announces a comment that does not follow');
  if (end.readUInt16LE(4) !== 0 || end.readUInt16LE(6) !== 0) fail('it is one of several parts of a zip archive');
  const older = {
    here: end.readUInt16LE(8),
    members: end.readUInt16LE(10),
    directoryBytes: end.readUInt32LE(12),
    directoryStart: end.readUInt32LE(16),
  };
  if (older.here !== older.members) fail('its end record has two counts of its members');
  const newer = readZip64(file, endStart, fail);
  const found = newer === undefined ? older : reconcile(older, newer, fail);
  const directoryEnd = newer === undefined ? endStart : endStart - LOCATOR_BYTES - END64_BYTES;
  if (found.directoryStart + found.directoryBytes !== directoryEnd) {
    fail(
      `its directory is said to end at byte ${found.directoryStart + found.directoryBytes}, and the records after ` +
        `it start at byte ${directoryEnd}`,
    );
  }
  return found;
}

/** The zip64 record, if there is a locator before the end record. */
function readZip64(file: ByteSource, endStart: number, fail: (problem: string) => never): ZipEnd | undefined {
  const locatorStart = endStart - LOCATOR_BYTES;
  if (locatorStart < END64_BYTES) return undefined;
  const locator = bytesAt(file, locatorStart, LOCATOR_BYTES);
  if (locator.readUInt32LE(0) !== LOCATOR_SIGNATURE) return undefined;
  const end64Start = locatorStart - END64_BYTES;
  const end64 = bytesAt(file, end64Start, END64_BYTES);
  const isWhereSaid = locator.readBigUInt64LE(8) === BigInt(end64Start) && end64.readUInt32LE(0) === END64_SIGNATURE;
  if (!isWhereSaid || end64.readBigUInt64LE(4) !== BigInt(END64_BYTES - 12)) {
    fail('its zip64 record is not right before its locator');
  }
  const parts = [locator.readUInt32LE(4), end64.readUInt32LE(16), end64.readUInt32LE(20), locator.readUInt32LE(16)];
  if (parts.slice(0, 3).some((part) => part !== 0) || parts[3]! > 1) fail('it is one of several parts');
  const members = end64.readBigUInt64LE(32);
  const directoryBytes = end64.readBigUInt64LE(40);
  const directoryStart = end64.readBigUInt64LE(48);
  if (end64.readBigUInt64LE(24) !== members) fail('its zip64 record has two counts of its members');
  if (directoryStart + directoryBytes > BigInt(file.size)) {
    fail(`its zip64 record puts the directory at byte ${directoryStart}, ${directoryBytes} bytes long`);
  }
  // A member takes bytes of the directory, so a count above the file's size is refused with the directory.
  return {
    members: Number(members),
    directoryBytes: Number(directoryBytes),
    directoryStart: Number(directoryStart),
  };
}

function reconcile(older: ZipEnd, newer: ZipEnd, fail: (problem: string) => never): ZipEnd {
  const agree = [older.members, older.directoryBytes, older.directoryStart].every(
    (value, i) => value === [newer.members, newer.directoryBytes, newer.directoryStart][i] || value === LIMITS[i],
  );
  return agree ? newer : fail('its end record and its zip64 record disagree');
}

const LIMITS = [IN_ZIP64.u16, IN_ZIP64.u32, IN_ZIP64.u32];

/** The bytes at a place that is known to be within the file. */
export function bytesAt(file: ByteSource, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  file.readSync(offset, bytes);
  return bytes;
}

/** Headers of small members lie close together; a page holds twenty. */
const PAGE_BYTES = 4096;

/** Reads as `bytesAt` does, from the last page read where the bytes are in it. What it gives holds until the next call. */
export function pagedBytes(file: ByteSource): (offset: number, length: number) => Buffer {
  let start = 0;
  let page: Buffer = Buffer.alloc(0);
  return (offset, length) => {
    if (offset < start || offset + length > start + page.length) {
      start = offset;
      page = bytesAt(file, offset, Math.max(length, Math.min(PAGE_BYTES, file.size - offset)));
    }
    return page.subarray(offset - start, offset - start + length);
  };
}
