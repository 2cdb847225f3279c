import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { type MeasuredOpening, openingMeter } from '../fixtures/measured-opening.js';
import { bytes, dict, pickle, storage, tensor, text, u16, u32, u64 } from '../fixtures/pickle-assembler.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';
import { torchMembers, torchZip } from '../fixtures/torch-file.js';
import { layOutZip, type MemberSpec, type ZipLayout, zipBytes } from '../fixtures/zip-file.js';
import { refusalOf } from './refusal.js';

const measureOpening = openingMeter();

const WEIGHTS = pickle(dict([text('w'), tensor(storage('FloatStorage', '0', 4), { shape: [4], strides: [1] })]));
const DATA = patterned(16);
const sound = (): ZipLayout => layOutZip(torchMembers(WEIGHTS, [DATA]));

/** The order of the members in `sound`. */
const PICKLE = 0;
const STORAGE = 1;

/** A sound archive with bytes of it overwritten. */
function patched(at: (layout: ZipLayout) => number, replacement: Uint8Array): Buffer {
  const layout = sound();
  const file = zipBytes(layout);
  file.set(replacement, at(layout));
  return file;
}

const inCentral = (field: number, replacement: Uint8Array, member = STORAGE): Buffer =>
  patched(({ central }) => central[member]! + field, replacement);
const inLocal = (field: number, replacement: Uint8Array, member = STORAGE): Buffer =>
  patched(({ local }) => local[member]! + field, replacement);
const inEnd = (field: number, replacement: Uint8Array): Buffer => patched(({ end }) => end + field, replacement);
/** The zip64 record is 56 bytes, and its locator 20, before the end record. */
const inEnd64 = (field: number, replacement: Uint8Array): Buffer => patched(({ end }) => end - 76 + field, replacement);
const inLocator = (field: number, replacement: Uint8Array): Buffer =>
  patched(({ end }) => end - 20 + field, replacement);

function withMembers(change: (members: MemberSpec[]) => MemberSpec[]): Buffer {
  return zipBytes(layOutZip(change(torchMembers(WEIGHTS, [DATA]))));
}

const plus = (name: string, data: Uint8Array = patterned(3)): Buffer =>
  withMembers((members) => [...members, { name, data }]);

/** An archive in which both headers of a member say that it is deflated. */
function deflated(data: Uint8Array): Buffer {
  const packed = deflateRawSync(data);
  const layout = layOutZip([{ name: 'archive/data.pkl', data: packed, crc32: crc32(data) }]);
  const file = zipBytes(layout);
  for (const at of [layout.local[0]! + 8, layout.central[0]! + 10]) file.writeUInt16LE(8, at);
  file.writeUInt32LE(data.length, layout.central[0]! + 24);
  return file;
}

/** Two members in the directory that share one local header: the bomb that needs no nesting. */
function overlapping(): Buffer {
  const layout = sound();
  const file = zipBytes(layout);
  file.writeUInt32LE(layout.local[STORAGE]!, layout.central[STORAGE + 1]! + 42);
  return file;
}

const BROKEN: Readonly<Record<string, readonly [content: Uint8Array, says: string]>> = {
  'a wrong CRC of data.pkl': [inCentral(16, u32(1), PICKLE), 'has another size or CRC after its data'],
  'a wrong CRC of data.pkl, said alike in all places': [
    withMembers(([member, ...others]) => [{ ...member!, crc32: 1 }, ...others]),
    'member "archive/data.pkl": its bytes have the CRC',
  ],
  'another name in the local header': [inLocal(30, Buffer.from('ARCHIVE')), 'has another name in its own header'],
  'another method in the local header': [inLocal(8, u16(8)), 'has other flags or another method in its own header'],
  'other flags in the local header': [inLocal(6, u16(0x800)), 'has other flags or another method'],
  'another size in the local header': [inLocal(22, u32(9)), 'has another size or CRC in its own header'],
  'another CRC in the local header': [inLocal(14, u32(9)), 'has another size or CRC in its own header'],
  'two sizes in the directory': [inCentral(20, u32(8)), 'is stored, and has two sizes'],
  'a size that reaches into the next member': [
    patched(({ central }) => central[STORAGE]! + 20, bytes(u32(4000), u32(4000))),
    'reaches into what comes next',
  ],
  'a size that leaves bytes hidden': [
    patched(({ central }) => central[STORAGE]! + 20, bytes(u32(4), u32(4))),
    'is followed by 28 bytes, where its sizes take 16 or 24',
  ],
  'overlapping members': [overlapping(), 'overlaps the one after it'],
  'a place in the middle of another member': [
    patched(({ central }) => central[STORAGE]! + 42, u32(5)),
    'overlaps the one after it',
  ],
  'a place beyond the file': [inCentral(42, u32(0x7fff_ffff)), 'is followed by 118 bytes'],
  'bytes after the end record': [bytes(zipBytes(sound()), 'PK'), 'are no end record of a zip archive'],
  'a comment': [bytes(inEnd(20, u16(4)), 'abcd'), 'are no end record of a zip archive'],
  'a comment that is not there': [inEnd(20, u16(4)), 'announces a comment'],
  'two end records, one of them in the comment of the other': [
    bytes(zipBytes(sound()), zipBytes(sound()).subarray(-22)),
    'its directory is said to end at',
  ],
  'bytes between the members and the directory': [patched(({ end }) => end - 76 + 48, u64(0)), 'disagree'],
  'a count of members that is too low': [inEnd(8, bytes(u16(1), u16(1))), 'disagree'],
  'a count of members that is too low, in both records': [
    (() => {
      const file = inEnd(8, bytes(u16(2), u16(2)));
      file.set(bytes(u64(2), u64(2)), sound().end - 76 + 24);
      return file;
    })(),
    'bytes after the last member',
  ],
  'two counts of members': [inEnd(8, u16(1)), 'has two counts of its members'],
  'a count of members in the zip64 record of 2^64 − 1': [
    (() => {
      const file = inEnd(8, bytes(u16(0xffff), u16(0xffff)));
      file.set(bytes(u64(2n ** 64n - 1n), u64(2n ** 64n - 1n)), sound().end - 76 + 24);
      return file;
    })(),
    'members; at most 30000 are read',
  ],
  'a directory at 2^64 − 1': [inEnd64(48, u64(2n ** 64n - 1n)), 'its zip64 record puts the directory'],
  'a directory of 2^64 − 1 bytes': [inEnd64(40, u64(2n ** 64n - 1n)), 'its zip64 record puts the directory'],
  'a zip64 record of another length': [inEnd64(4, u64(100)), 'is not right before its locator'],
  'a zip64 locator that points elsewhere': [inLocator(8, u64(0)), 'is not right before its locator'],
  'several disks': [inEnd(4, u16(1)), 'one of several parts'],
  'several disks in zip64': [inLocator(16, u32(2)), 'one of several parts'],
  'a member on another disk': [inCentral(34, u16(1)), 'lies in another part'],
  'a size that zip64 should say, and does not': [inCentral(24, u32(0xffff_ffff)), 'lacks a zip64 number'],
  'a comment of a member': [inCentral(32, u16(4)), 'has a comment'],
  'an unknown extra field, such as a second name': [
    inLocal(30 + 'archive/data/0'.length, u16(0x7075)),
    'has the extra field 0x7075',
  ],
  'a member called ../data.pkl': [plus('archive/../data.pkl'), '"archive/../data.pkl", whose path leads out of it'],
  'an absolute member': [plus('/etc/passwd'), '"/etc/passwd", whose path leads out'],
  'a member with a drive': [plus('C:/data.pkl'), 'whose path leads out'],
  'a member with backslashes': [plus('archive\\data.pkl'), 'whose path leads out'],
  'a member with a NUL in its name': [plus('archive/data.pkl\0.txt'), 'whose path leads out'],
  'a member that is a folder': [plus('archive/data/'), 'whose path leads out'],
  'a member without a name': [plus(''), 'empty, too long or not UTF-8'],
  'a name that is not UTF-8': [inCentral(46, Uint8Array.of(0xff)), 'empty, too long or not UTF-8'],
  'a symbolic link': [inCentral(38, u32(0o120777 * 65536)), 'is a symbolic link'],
  'a device': [inCentral(38, u32(0o020777 * 65536)), 'is no regular file'],
  'a folder by its attributes': [inCentral(38, u32(0x10)), 'is no regular file'],
  'a member twice': [plus('archive/data.pkl', WEIGHTS), 'it has two members "archive/data.pkl"'],
  'a member that torch does not write': [plus('archive/README'), '"archive/README", which torch.save does not write'],
  'a member outside the folder': [plus('other/data'), '"other/data", which torch.save does not write'],
  'an archive within the archive': [plus('archive/inner.zip', zipBytes(sound())), 'torch.save does not write'],
  'a storage that nothing refers to': [plus('archive/data/7'), '"archive/data/7", which nothing refers to'],
  'a storage that is missing': [torchZip(WEIGHTS), 'it lacks the member "data/0"'],
  'a storage that is too short': [torchZip(WEIGHTS, [DATA.subarray(4)]), 'has 12 bytes, and data.pkl says 16'],
  'a storage that is too long': [torchZip(WEIGHTS, [bytes(DATA, DATA)]), 'has 32 bytes, and data.pkl says 16'],
  'a second pickle after the first': [
    torchZip(bytes(WEIGHTS, WEIGHTS), [DATA]),
    `data.pkl, ${WEIGHTS.length} bytes follow its STOP`,
  ],
  'a note that is no number': [plus('archive/.format_version', Buffer.from('x')), 'holds "x"'],
  'a note of a kilobyte': [plus('archive/.storage_alignment', Buffer.alloc(1024, 49)), 'has 1024 bytes'],
  'no tensor': [torchZip(pickle(dict())), 'it holds a dict without a tensor in it'],
};

describe('an archive with', () => {
  it.each(Object.entries(BROKEN))('%s is refused', async (_, [content, says]) => {
    const error = await refusalOf('model.pt', content);
    expect(error.message).toContain(says);
    expect(['unreadable', 'unsupported']).toContain(error.code);
  });
});

describe('what archives allow and torch does not write', () => {
  it.each([
    ['encrypted (flag 0x1)', inCentral(8, u16(0x809)), 'is encrypted (flag 0x1)'],
    ['a patch (flag 0x20)', inCentral(8, u16(0x828)), 'is a patch of another file (flag 0x20)'],
    ['strongly encrypted (flag 0x40)', inCentral(8, u16(0x848)), 'is strongly encrypted (flag 0x40)'],
    ['with a masked directory (flag 0x2000)', inCentral(8, u16(0x2808)), 'hidden by encryption'],
    ['compressed', deflated(WEIGHTS), 'is compressed (method 8)'],
    ['compressed a thousandfold', deflated(bytes(WEIGHTS, Buffer.alloc(10_000_000))), 'is compressed (method 8)'],
    ['by LZMA', inCentral(10, u16(14)), 'is compressed (method 14)'],
    ['TorchScript', plus('archive/code/model.py'), 'a TorchScript archive, which has code in it'],
    ['TorchScript by its constants', plus('archive/constants.pkl', pickle(dict())), 'a TorchScript archive'],
    ['big-endian', plus('archive/byteorder', Buffer.from('big')), 'most significant byte first'],
    ['without data.pkl', zipBytes(layOutZip([{ name: 'a.npy', data: DATA }])), '0 members <name>/data.pkl'],
    ['without members', bytes('PK\x05\x06', Buffer.alloc(18)), '0 members <name>/data.pkl'],
    ['with two', plus('other/data.pkl', WEIGHTS), '2 members <name>/data.pkl'],
  ])('%s is refused by name', async (_, content, says) => {
    const error = await refusalOf('model.pt', content);
    expect(error).toMatchObject({ code: 'unsupported', message: expect.stringContaining(says) });
  });
});

describe('another format under the name model.pt', () => {
  const tar = Buffer.alloc(1024);
  tar.write('pickle');
  tar.write('ustar', 257);
  it.each([
    ['7-Zip', bytes('7z\xbc\xaf\x27\x1c\0\x04', Buffer.alloc(40)), 'a 7-Zip archive'],
    ['RAR', bytes('Rar!\x1a\x07\x01\0', Buffer.alloc(40)), 'a RAR archive'],
    ['gzip', gzipSync(WEIGHTS), 'compressed by gzip'],
    ['xz', bytes('\xfd7zXZ\0', Buffer.alloc(40)), 'compressed by xz'],
    ['tar, as the oldest torch wrote', tar, 'a tar archive; torch before 0.1.11 wrote such'],
    ['HDF5', bytes('\x89HDF\r\n\x1a\n', Buffer.alloc(40)), 'an HDF5 file'],
    ['a pointer of git-lfs', Buffer.from('version https://git-lfs.github.com/spec/v1\n'), 'a pointer of git-lfs'],
  ])('%s is refused by name', async (_, content, says) => {
    const error = await refusalOf('model.pt', content);
    expect(error).toMatchObject({ code: 'unsupported', message: expect.stringContaining(says) });
  });

  it('nothing at all is refused', async () => {
    expect((await refusalOf('model.pt', new Uint8Array(0))).message).toContain('before its STOP');
  });
});

describe('damaged storages', () => {
  /** The CRC is right about other bytes; nothing but reading them can tell. */
  const damaged = (): string => {
    const layout = sound();
    const file = zipBytes(layout);
    file[layout.data[STORAGE]! + 5]! ^= 1;
    const at = path.join(temporaryFolder(), 'model.pt');
    writeFileSync(at, file);
    return at;
  };

  it.each([
    ['in one piece', [16]],
    ['in pieces', [4, 8, 4]],
  ])('are refused when they are read to the end %s, naming the tensor', async (_, lengths) => {
    const file = damaged();
    const checkpoint = await openCheckpoint(file);
    let offset = 0;
    const read = async (): Promise<void> => {
      for (const length of lengths) {
        await checkpoint.read('w', { offset, length });
        offset += length;
      }
    };
    await expect(read()).rejects.toMatchObject({
      code: 'unreadable',
      file,
      tensor: 'w',
      message: expect.stringContaining('they are damaged or were changed'),
    });
    await checkpoint.close();
  });

  it('are refused when pieces are read at once', async () => {
    const checkpoint = await openCheckpoint(damaged());
    const [first, second] = [0, 8].map((offset) => checkpoint.read('w', { offset, length: 8 }));
    await expect(first).resolves.toHaveLength(8);
    await expect(second).rejects.toMatchObject({ code: 'unreadable', tensor: 'w' });
    await checkpoint.close();
  });

  it('are not seen by whoever reads a part', async () => {
    const checkpoint = await openCheckpoint(damaged());
    await expect(checkpoint.read('w', { offset: 4, length: 12 })).resolves.toHaveLength(12);
    await checkpoint.close();
  });
});

describe('an archive with as many members as are read', () => {
  const MEMBERS = 30_000;
  const MAX_MILLISECONDS = 15_000;
  const opened = (data: Uint8Array, storages: number): MeasuredOpening => {
    const file = path.join(temporaryFolder(), 'model.pt');
    const empty = Array.from({ length: storages }, () => new Uint8Array());
    writeFileSync(file, torchZip(data, empty));
    return measureOpening(file);
  };
  const storages = MEMBERS - 2;

  it('is refused in bounds when nothing refers to them', () => {
    const { message, milliseconds, extraMegabytes } = opened(WEIGHTS, storages);
    expect(message).toContain('archive/data/0');
    expect(milliseconds).toBeLessThan(MAX_MILLISECONDS);
    expect(extraMegabytes).toBeLessThan(64);
  });

  it('is refused in bounds when one of them is missing', () => {
    const views = Array.from({ length: storages + 1 }, (_, i) =>
      tensor(storage('FloatStorage', String(i), 0), { shape: [0], strides: [1] }),
    );
    const data = pickle(dict(...views.map((view, i): readonly [Uint8Array, Uint8Array] => [text(`w${i}`), view])));
    const { code, milliseconds, extraMegabytes } = opened(data, storages);
    expect(code).toBe('unreadable');
    expect(milliseconds).toBeLessThan(MAX_MILLISECONDS);
    expect(extraMegabytes).toBeLessThan(64);
  });
});
