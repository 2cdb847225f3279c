import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { BirdboneError } from '../../src/errors.js';
import { array, entry, f32, type GgufParts, ggufBytes, pair, text, u8, u32, u64 } from '../fixtures/gguf-file.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';

const MAX_MILLISECONDS = 1000;
const HUGE = 2n ** 64n - 1n;

interface HostileCase {
  readonly bytes: Uint8Array;
  /** What the message must say beside the file's name. */
  readonly says: string;
  readonly code?: 'unreadable' | 'unsupported';
  /** The tensor that the error must name. */
  readonly tensor?: string;
}

const VALID: GgufParts = {
  pairs: [pair('general.architecture', 'string', text('llama')), pair('n', 'u32', u32(1))],
  entries: [entry({ name: 'w', ne: [8] }), entry({ name: 'v', ne: [8], offset: 32 })],
  data: 64,
};

const withPair = (bytes: Uint8Array, says: string): HostileCase => ({
  bytes: ggufBytes({ ...VALID, pairs: [bytes] }),
  says,
});

/** One tensor, "w", that is not as it should be, before 64 bytes of data. */
function withEntry(fields: Omit<Parameters<typeof entry>[0], 'name'>, says: string, data = 64): HostileCase {
  return { bytes: ggufBytes({ entries: [entry({ name: 'w', ...fields })], data }), says, tensor: 'w' };
}

/** Two tensors of 32 bytes, of which the second is at the given offset. */
function secondAt(offset: number | bigint, says: string, data = 128): HostileCase {
  const entries = [entry({ name: 'w', ne: [8] }), entry({ name: 'v', ne: [8], offset })];
  return { bytes: ggufBytes({ entries, data }), says, tensor: 'v' };
}

const aligned = (value: Uint8Array, says: string, type: 'u32' | 'u64' | 'string' = 'u32'): HostileCase => ({
  bytes: ggufBytes({ ...VALID, pairs: [pair('general.alignment', type, value)] }),
  says: `metadata "general.alignment": ${says}`,
});

const STARTS: Record<string, HostileCase> = {
  'an empty file': { bytes: new Uint8Array(0), says: 'it starts with ""' },
  'a file of three bytes': { bytes: Buffer.from('GGU'), says: 'it starts with "GGU"' },
  'a magic number alone': { bytes: Buffer.from('GGUF'), says: 'it has 4 bytes' },
  'a file that ends in the counts': { bytes: ggufBytes().subarray(0, 23), says: 'it has 23 bytes' },
  'another magic number': { bytes: ggufBytes({ magic: 'GGML' }), says: 'starts with "GGML"' },
  'the magic number backwards': { bytes: ggufBytes({ magic: 'FUGG' }), says: 'starts with "FUGG"' },
  'a git-lfs pointer': {
    bytes: Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'),
    says: 'starts with "vers"',
  },
  'version 0': { bytes: ggufBytes({ version: 0 }), says: 'version 0', code: 'unsupported' },
  'version 1, whose lengths have 32 bits': { bytes: ggufBytes({ version: 1 }), says: 'version 1', code: 'unsupported' },
  'version 4': { bytes: ggufBytes({ version: 4 }), says: 'version 4', code: 'unsupported' },
  'a big-endian file': { bytes: ggufBytes({ version: 0x03000000 }), says: 'big-endian GGUF', code: 'unsupported' },
  'version 2^32 − 1': { bytes: ggufBytes({ version: 2 ** 32 - 1 }), says: '4294967295', code: 'unsupported' },
};

const COUNTS: Record<string, HostileCase> = {
  '2^64 − 1 metadata keys': { bytes: ggufBytes({ ...VALID, keyCount: HUGE }), says: 'keys is 18446744073709551615' },
  '2^63 metadata keys, negative to llama.cpp': {
    bytes: ggufBytes({ ...VALID, keyCount: 2n ** 63n }),
    says: 'keys is 9223372036854775808',
  },
  'more metadata keys than allowed': { bytes: ggufBytes({ ...VALID, keyCount: 10_001 }), says: 'at most 10000' },
  'more metadata keys than the file has bytes for': {
    bytes: ggufBytes({ keyCount: 9999 }),
    says: 'declares 9999 metadata keys, and 0 bytes follow',
  },
  'one metadata key too few': { bytes: ggufBytes({ ...VALID, keyCount: 1 }), says: 'tensor "n": ' },
  '2^64 − 1 tensors': { bytes: ggufBytes({ ...VALID, tensorCount: HUGE }), says: 'tensors is 18446744073709551615' },
  '2^53 + 1 tensors, which no number holds': {
    bytes: ggufBytes({ ...VALID, tensorCount: 2n ** 53n + 1n }),
    says: 'tensors is 9007199254740993',
  },
  'more tensors than allowed': { bytes: ggufBytes({ ...VALID, tensorCount: 120_001 }), says: 'at most 120000' },
  'more tensors than the file has bytes for': {
    bytes: ggufBytes({ ...VALID, tensorCount: 9999 }),
    says: 'declares 9999 tensors, and',
  },
  'one tensor too few': {
    bytes: ggufBytes({ ...VALID, tensorCount: 1 }),
    says: 'its last tensor ends at byte',
  },
  // Overflow of a count times the size of an entry: llama.cpp's CVE-2025-53630, and CVE-2026-27940 around its repair.
  'a count of tensors whose entries overflow 64 bits': {
    bytes: ggufBytes({ ...VALID, tensorCount: 2n ** 61n }),
    says: 'tensors is 2305843009213693952',
  },
};

const KEYS: Record<string, HostileCase> = {
  'a key of 2^64 − 1 bytes (CVE-2024-21802)': withPair(text('key', HUGE), 'the length of metadata key 0 is 18446744'),
  'a key longer than the file': withPair(text('key', 5000), 'metadata key 0 declares 5000 bytes'),
  'a key longer than 65535 bytes': withPair(pair('k'.repeat(65_536), 'u8', u8(1)), 'at most 65535 are read'),
  'an empty key': withPair(pair('', 'u8', u8(1)), 'which is no name'),
  'a key with a NUL': withPair(pair('a\0b', 'u8', u8(1)), 'which is no name'),
  'a key that is not UTF-8': withPair(pair(Uint8Array.of(0xff, 0xfe), 'u8', u8(1)), 'metadata key 0 is invalid UTF-8'),
  'a key twice': {
    bytes: ggufBytes({ pairs: [pair('general.name', 'u8', u8(1)), pair('general.name', 'string', text('x'))] }),
    says: 'the metadata key "general.name" twice',
  },
  'a key that steers the terminal': withPair(pair('\u001b[31m', 13, u8(1)), 'metadata "\\u001b[31m": its type is 13'),
  'a value type that does not exist': withPair(pair('k', 13, u8(1)), 'metadata "k": its type is 13; types are 0 to 12'),
  'a value type of 2^32 − 1': withPair(pair('k', 2 ** 32 - 1, u8(1)), 'its type is 4294967295'),
  'a file that ends in a value': {
    bytes: ggufBytes({ pairs: [pair('k', 'f64', u32(1))] }),
    says: 'its value takes 8 bytes, and the file has 4 left',
  },
  'a file that ends before a value': {
    bytes: ggufBytes({ pairs: [pair('kkkk', 'u8', u8(1)).subarray(0, 14)] }),
    says: 'ends within its type',
  },
  'a bool of 2': withPair(pair('k', 'bool', u8(2)), 'a bool is the byte 2'),
};

const STRINGS_AND_ARRAYS: Record<string, HostileCase> = {
  'a string of 2^64 − 1 bytes': withPair(pair('k', 'string', text('x', HUGE)), 'text is 18446744073709551615'),
  'a string of 2^32 bytes': withPair(pair('k', 'string', text('x', 2 ** 32)), 'its text declares 4294967296 bytes'),
  'a string one byte longer than the file': {
    bytes: ggufBytes({ pairs: [pair('k', 'string', text('xy', 3))] }),
    says: 'its text declares 3 bytes, and the file has 2 left',
  },
  'a string cut within a character': withPair(pair('k', 'string', text(Uint8Array.of(0xe2, 0x96))), 'invalid UTF-8'),
  'a surrogate encoded in UTF-8': withPair(pair('k', 'string', text(Uint8Array.of(0xed, 0xa0, 0x80))), 'invalid UTF-8'),
  'an overlong encoding of /': withPair(pair('k', 'string', text(Uint8Array.of(0xc0, 0xaf))), 'invalid UTF-8'),
  'an array of 2^64 − 1 bytes': withPair(
    pair('k', 'array', array('u8', [], HUGE)),
    'number of elements is 18446744073709551615',
  ),
  'an array of 2^61 numbers, whose bytes overflow 64 bits': withPair(
    pair('k', 'array', array('u64', [], 2n ** 61n)),
    'number of elements is 2305843009213693952',
  ),
  'an array of 2^50 numbers': withPair(
    pair('k', 'array', array('u64', [], 2n ** 50n)),
    'take 9007199254740992 bytes or more',
  ),
  'an array of 2^50 strings': withPair(
    pair('k', 'array', array('string', [], 2n ** 50n)),
    'declares 1125899906842624 elements',
  ),
  'an array one element longer than the file': {
    bytes: ggufBytes({ pairs: [pair('k', 'array', array('u16', [u32(1)], 3))] }),
    says: 'take 6 bytes or more; the file has 4 left',
  },
  'an array with an element type that does not exist': withPair(
    pair('k', 'array', array(13, [u8(1)])),
    'its element type is 13',
  ),
  'an array with an invalid string': withPair(
    pair('k', 'array', array('string', [text(Uint8Array.of(0x80))])),
    'an element is invalid UTF-8',
  ),
  'an array with a string of 2^64 − 1 bytes': withPair(
    pair('k', 'array', array('string', [text('', HUGE)])),
    'the length of an element is',
  ),
  'an array with a bool of 255': withPair(
    pair('k', 'array', array('bool', [u8(1), u8(255)])),
    'a bool is the byte 255',
  ),
  'arrays nested in arrays without end': withPair(
    pair('k', 'array', array('array', [array('array', [array('array', [array('array', [array('u8', [])])])])])),
    'nested deeper than 4',
  ),
  '2^40 arrays in an array': withPair(
    pair('k', 'array', array('array', [], 2n ** 40n)),
    '1099511627776 arrays in arrays; at most 10000',
  ),
};

const ALIGNMENTS: Record<string, HostileCase> = {
  'an alignment of 0, which is divided by': aligned(u32(0), 'it is 0; powers of two from 8'),
  'an alignment of 3': aligned(u32(3), 'it is 3; powers of two'),
  'an alignment of 48': aligned(u32(48), 'it is 48; powers of two'),
  'an alignment of 1': aligned(u32(1), 'it is 1; powers of two from 8'),
  'an alignment of 2^31': aligned(u32(2 ** 31), 'it is 2147483648; powers of two'),
  'an alignment of 64 bits': aligned(u64(32), 'it is of type u64; u32 is allowed', 'u64'),
  'an alignment in words': aligned(text('32'), 'it is of type string; u32 is allowed', 'string'),
};

const TENSORS: Record<string, HostileCase> = {
  'a name of 2^64 − 1 bytes': {
    bytes: ggufBytes({ entries: [text('w', HUGE), Buffer.alloc(40)] }),
    says: 'the length of the name of tensor 0',
  },
  'a name of 128 bytes': {
    bytes: ggufBytes({ entries: [entry({ name: 'w'.repeat(128), ne: [8] })], data: 32 }),
    says: 'at most 127 are read',
  },
  'a name that is not UTF-8': {
    bytes: ggufBytes({ entries: [entry({ name: Uint8Array.of(0xff), ne: [8] })], data: 32 }),
    says: 'the name of tensor 0 is invalid UTF-8',
  },
  'a name with a NUL, at which llama.cpp would cut it': {
    bytes: ggufBytes({ entries: [entry({ name: 'w\0v', ne: [8] })], data: 32 }),
    says: 'cut short',
  },
  'two tensors of a name': {
    bytes: ggufBytes({ entries: [entry({ name: 'w', ne: [8] }), entry({ name: 'w', ne: [8], offset: 32 })], data: 64 }),
    says: 'it has two tensors "w"',
  },
  'five dimensions': withEntry({ ne: [1, 1, 1, 1, 8] }, 'it has 5 dimensions; at most 4'),
  '2^32 − 1 dimensions': withEntry({ ne: [8], dimensions: 2 ** 32 - 1 }, 'it has 4294967295 dimensions'),
  'a dimension of 2^64 − 1': withEntry({ ne: [HUGE] }, 'a dimension is 18446744073709551615'),
  'a dimension of 2^63, negative to llama.cpp': withEntry({ ne: [2n ** 63n] }, 'a dimension is 9223372036854775808'),
  'dimensions whose product wraps around 2^64 to 4': withEntry(
    { ne: [4_194_305, 4_194_305, 211_106_198_978_564] },
    'has more elements than any file can hold',
  ),
  'dimensions whose product wraps around 2^64 to 0 (CVE-2025-53630)': withEntry(
    { ne: [2n ** 32n, 2n ** 32n] },
    'has more elements than any file can hold',
  ),
  'dimensions that overflow before one of 0': withEntry(
    { ne: [0, 2n ** 40n, 2n ** 40n] },
    'has more elements than any',
  ),
  'a type that ggml does not have': {
    ...withEntry({ ne: [8], type: 99 }, "ggml's type 99 (a type that ggml does not have)"),
    code: 'unsupported',
  },
  'a type of 2^32 − 1, negative to llama.cpp': {
    ...withEntry({ ne: [8], type: 2 ** 32 - 1 }, "ggml's type 4294967295"),
    code: 'unsupported',
  },
  'a type that ggml removed, whose block size is 0 to divide by': {
    ...withEntry({ ne: [8], type: 4 }, 'type 4 (Q4_2, which ggml removed). Read are: F32, F16, Q4_0'),
    code: 'unsupported',
  },
  'a type that is not read': { ...withEntry({ ne: [256], type: 16 }, "ggml's type 16 (IQ2_XXS)"), code: 'unsupported' },
  'rows of half a block': withEntry(
    { ne: [16, 2], type: 2 },
    'rows of 16 elements are no whole number of Q4_0 blocks of 32',
  ),
  'a row of no dimensions for a block type': withEntry({ ne: [], type: 12 }, 'rows of 1 elements'),
};

const PLACES: Record<string, HostileCase> = {
  'a tensor that ends beyond the file (CVE-2026-7482: read out of bounds while quantizing)': withEntry(
    { ne: [256, 1000], type: 12 },
    'it takes 144000 bytes, and the file has',
  ),
  'a tensor one byte larger than the file': withEntry({ ne: [65], type: 24 }, 'it ends at byte'),
  'a tensor that the header takes the place of': {
    bytes: ggufBytes({ entries: [entry({ name: 'w', ne: [40], type: 24 })] }).subarray(0, 80),
    says: 'it takes 40 bytes, and the file has',
    tensor: 'w',
  },
  'a first offset that is not 0': withEntry({ ne: [8], offset: 32 }, 'its offset 32 leaves a hole of 32 bytes'),
  'an offset beyond the file': secondAt(2n ** 40n, 'its offset 1099511627776 leaves a hole'),
  'an offset of 2^64 − 32, which wraps around': secondAt(2n ** 64n - 32n, 'its offset is 18446744073709551584'),
  'an offset of 2^53': secondAt(2n ** 53n, 'its offset is 9007199254740992; at most'),
  'an offset that is not aligned': secondAt(33, 'its offset 33 is no multiple of the alignment, 32'),
  'tensors that overlap': secondAt(0, 'its offset 0 overlaps the tensor before it'),
  'a hole between tensors': secondAt(64, 'its offset 64 leaves a hole of 32 bytes'),
  'bytes after the last tensor': { bytes: ggufBytes({ ...VALID, data: 65 }), says: 'its last tensor ends at byte' },
  'bytes after the header of a file without tensors': {
    bytes: ggufBytes({ pairs: [pair('k', 'u8', u8(1))], data: 64 }),
    says: 'its last tensor ends at byte',
  },
  'one part of a split model': {
    bytes: ggufBytes({ ...VALID, pairs: [pair('split.count', 'u16', Buffer.of(3, 0))] }),
    says: 'one of 3 parts of a split model',
    code: 'unsupported',
  },
};

async function refusal(bytes: Uint8Array): Promise<{ error: unknown; file: string; milliseconds: number }> {
  const file = path.join(temporaryFolder(), 'model.gguf');
  writeFileSync(file, bytes);
  const start = performance.now();
  const error = await openCheckpoint(file).then(
    (checkpoint) => checkpoint.close(),
    (reason: unknown) => reason,
  );
  return { error, file, milliseconds: performance.now() - start };
}

describe.each([
  ['starts', STARTS],
  ['counts', COUNTS],
  ['keys', KEYS],
  ['strings and arrays', STRINGS_AND_ARRAYS],
  ['alignments', ALIGNMENTS],
  ['tensor entries', TENSORS],
  ['places', PLACES],
])('GGUF %s', (_, cases) => {
  it.each(Object.entries(cases))('%s is refused', async (_name, { bytes, says, code = 'unreadable', tensor }) => {
    const { error, file, milliseconds } = await refusal(bytes);
    expect(error).toBeInstanceOf(BirdboneError);
    expect(error).toMatchObject({ code, file, message: expect.stringContaining(says) });
    expect((error as BirdboneError).message).toContain(file);
    if (tensor !== undefined) expect(error).toMatchObject({ tensor, message: expect.stringContaining(`"${tensor}"`) });
    expect(milliseconds).toBeLessThan(MAX_MILLISECONDS);
  });
});

it('opens the file that the cases above are made from', async () => {
  const { error } = await refusal(ggufBytes({ ...VALID, pairs: [...(VALID.pairs ?? []), pair('f', 'f32', f32(1))] }));
  expect(error).toBeUndefined();
});
