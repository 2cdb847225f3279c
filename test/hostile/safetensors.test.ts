import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { BirdboneError } from '../../src/errors.js';
import { fileBytes, patterned, temporaryFolder, u8 } from '../fixtures/safetensors-file.js';

const MAX_MILLISECONDS = 1000;

interface HostileCase {
  readonly bytes: Uint8Array;
  /** What the message must say beside the file's name. */
  readonly says: string;
  readonly code?: 'unreadable' | 'unsupported';
  /** The tensor that the error must name. */
  readonly tensor?: string;
}

/** A header in which one tensor, "w", is not as it should be. */
function badTensor(entry: string, says: string, data = 4): HostileCase {
  return { bytes: fileBytes(`{"w":${entry}}`, data), says, tensor: 'w' };
}

function badShape(shape: string, says: string): HostileCase {
  return badTensor(`{"dtype":"U8","shape":${shape},"data_offsets":[0,4]}`, says);
}

function badOffsets(offsets: string, says: string): HostileCase {
  return badTensor(`{"dtype":"U8","shape":[4],"data_offsets":${offsets}}`, says);
}

function badString(raw: readonly number[], says: string): HostileCase {
  const header = Buffer.concat([Buffer.from('{"a'), Buffer.from(raw), Buffer.from('":{}}')]);
  return { bytes: fileBytes(header), says };
}

function declaring(headerBytes: bigint, says: string): HostileCase {
  return { bytes: fileBytes('{}', 8, headerBytes), says };
}

const VALID = '{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}';
const ENTRY = '{"dtype":"U8","shape":[4],"data_offsets":[0,4]}';
const twoTensors = (first: readonly [number, number], second: readonly [number, number], data: number) =>
  fileBytes({ a: u8(...first), b: u8(...second) }, data);

const LENGTHS: Record<string, HostileCase> = {
  'an empty file': { bytes: new Uint8Array(0), says: 'it has 0 bytes' },
  'a file of 7 bytes': { bytes: new Uint8Array(7), says: 'it has 7 bytes' },
  'a header length alone': { bytes: fileBytes('', 0, 2n), says: 'declares 2 bytes, and only 0 follow' },
  'a header of length 0': declaring(0n, 'declares 0 bytes'),
  'a header of length 1': declaring(1n, 'declares 1 bytes'),
  'a header longer than the file': declaring(11n, 'declares 11 bytes, and only 10 follow'),
  'a header above 100 MB': declaring(100_000_001n, 'declares 100000001 bytes; at most 100000000'),
  'a header length of 2^53 + 1, which no number holds': declaring(2n ** 53n + 1n, '9007199254740993'),
  'a header length of 2^63': declaring(2n ** 63n, '9223372036854775808'),
  'a header length of 2^64 − 1': declaring(2n ** 64n - 1n, '18446744073709551615'),
  'a header length of 2^64 − 8, which wraps around to 0': declaring(2n ** 64n - 8n, '18446744073709551608'),
};

const TEXTS: Record<string, HostileCase> = {
  'a header that is a list': { bytes: fileBytes('[1, 2, 3]'), says: 'starts with the byte 0x5b' },
  'white space before the header': { bytes: fileBytes(' {}'), says: 'starts with the byte 0x20' },
  'a byte order mark': { bytes: fileBytes('\ufeff{}'), says: 'starts with the byte 0xef' },
  'a header that is not JSON': { bytes: fileBytes('{hello}'), says: 'has "h" at byte 9' },
  'single quotes': { bytes: fileBytes("{'w':{}}"), says: `has "'" at byte 9` },
  'a comma after the last entry': { bytes: fileBytes(`{"w":${ENTRY},}`, 4), says: 'has "}" at byte' },
  'two commas': { bytes: fileBytes(`{"w":${ENTRY},,"v":${ENTRY}}`, 4), says: 'has "," at byte' },
  'a comment': { bytes: fileBytes(`{/* w */"w":${ENTRY}}`, 4), says: 'has "/" at byte 9' },
  'a header that breaks off in a name': { bytes: fileBytes('{"weig'), says: 'ends within a string' },
  'a header that breaks off in an escape': { bytes: fileBytes('{"weig\\'), says: 'ends within a string' },
  'a header that breaks off after a key': { bytes: fileBytes('{"w"'), says: 'has the end at byte' },
  'a header that is never closed': { bytes: fileBytes(`{"w":${ENTRY}`, 4), says: 'where "," or "}" must come' },
  'text after the header': { bytes: fileBytes(`${VALID}{}`, 4), says: 'after the header comes "{"' },
  'NUL bytes as padding': { bytes: fileBytes(`${VALID}\0\0`, 4), says: 'after the header comes the byte 0x00' },
  'line feeds as padding': { bytes: fileBytes(`${VALID}\n\n`, 4), says: 'after the header comes the byte 0x0a' },
  'a name that is not UTF-8': badString([0xff, 0xfe], 'invalid UTF-8'),
  'an overlong encoding of /': badString([0xc0, 0xaf], 'invalid UTF-8'),
  'a surrogate encoded in UTF-8': badString([0xed, 0xa0, 0x80], 'invalid UTF-8'),
  'a character cut in the middle': badString([0xf0, 0x9f, 0x92], 'invalid UTF-8'),
  'an escaped lone high surrogate': badString([...Buffer.from('\\ud800')], 'lone surrogate'),
  'an escaped lone low surrogate': badString([...Buffer.from('\\udc00x')], 'lone surrogate'),
  'an unknown escape': badString([...Buffer.from('\\x41')], 'invalid escape'),
  'a raw line feed in a name': badString([0x0a], 'the byte 0x0a in a string'),
  'a raw escape character in a name': badString([0x1b, 0x5b, 0x32, 0x4a], 'the byte 0x1b in a string'),
  'an escaped quote that swallows the end': badString([0x5c], 'ends within a string'),
};

const DUPLICATES: Record<string, HostileCase> = {
  'a tensor twice': {
    bytes: fileBytes(`{"w":${ENTRY},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
    says: 'the header has the key "w" twice',
  },
  'a tensor twice, once with an escape': {
    bytes: fileBytes(`{"w":${ENTRY},"\\u0077":${ENTRY}}`, 4),
    says: 'the header has the key "w" twice',
  },
  '__metadata__ twice': {
    bytes: fileBytes('{"__metadata__":{"a":"1"},"__metadata__":{"a":"2"}}'),
    says: 'the header has the key "__metadata__" twice',
  },
  'a metadata key twice': {
    bytes: fileBytes('{"__metadata__":{"format":"pt","format":"tf"}}'),
    says: '__metadata__ has the key "format" twice',
  },
  'dtype twice': badTensor(
    '{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,4]}',
    'has the key "dtype" twice',
  ),
  'shape twice': badTensor(
    '{"dtype":"U8","shape":[4],"shape":[2,2],"data_offsets":[0,4]}',
    'has the key "shape" twice',
  ),
  'data_offsets twice': badTensor(
    '{"dtype":"U8","shape":[4],"data_offsets":[0,4],"data_offsets":[4,8]}',
    'has the key "data_offsets" twice',
  ),
};

const NUMBERS: Record<string, HostileCase> = {
  'a negative size': badShape('[-4]', 'shape holds -4'),
  'a size of −0': badShape('[4,-0]', 'shape holds -0'),
  'a size with a fraction': badShape('[4.0]', 'shape holds 4.0'),
  'a size with an exponent': badShape('[4e0]', 'shape holds 4e0'),
  'a size of 1e400': badShape('[1e400]', 'shape holds 1e400'),
  'a size with a leading zero': badShape('[04]', 'shape holds 04'),
  'a size with a plus': badShape('[+4]', 'shape holds +4'),
  'a size in hexadecimal': badShape('[0x4]', 'has "x" at byte'),
  'a size of NaN': badShape('[NaN]', 'has "N" at byte'),
  'a size that is a string': badShape('["4"]', 'where a number must come'),
  'a size of null': badShape('[null]', 'where a number must come'),
  'a size of true': badShape('[true]', 'where a number must come'),
  'a size of 2^53': badShape('[9007199254740992]', 'above 2^53'),
  'a size of 2^64': badShape('[18446744073709551616]', 'above 2^53'),
  'a size of ten thousand digits': badShape(`[${'9'.repeat(10_000)}]`, 'over 400 digits'),
  'a shape that wraps a 64-bit product to 4': badShape(
    '[4194305,4194305,211106198978564]',
    'more elements than any file',
  ),
  'a shape that overflows before its zero': badShape('[4294967296,4294967296,0]', 'more elements than any file'),
  'a shape that overflows in bytes only': badTensor(
    '{"dtype":"F64","shape":[9007199254740991],"data_offsets":[0,4]}',
    'more elements than any file',
  ),
  'a shape of 100 000 dimensions': badShape(`[${'1,'.repeat(99_999)}4]`, 'over 64 numbers'),
  'a shape that is no list': badShape('4', 'where "[" must come'),
  'a shape nested 100 000 deep': badShape('['.repeat(100_000), 'has "[" at byte'),
  'offsets of 2^64': badOffsets('[0,18446744073709551616]', 'above 2^53'),
  'a negative offset': badOffsets('[-4,0]', 'data_offsets holds -4'),
  'one offset': badOffsets('[4]', 'data_offsets must be two numbers'),
  'three offsets': badOffsets('[0,4,8]', 'data_offsets must be two numbers'),
  'offsets in the wrong order': badOffsets('[4,0]', 'ends at 0, before it begins at 4'),
};

const TENSORS: Record<string, HostileCase> = {
  'a tensor that is a number': badTensor('1', 'where "{" must come'),
  'a tensor without dtype': badTensor('{"shape":[4],"data_offsets":[0,4]}', 'has no dtype'),
  'a tensor without shape': badTensor('{"dtype":"U8","data_offsets":[0,4]}', 'has no shape'),
  'a tensor without data_offsets': badTensor('{"dtype":"U8","shape":[4]}', 'has no data_offsets'),
  'a tensor with an unknown key': badTensor(`{"extra":1,${ENTRY.slice(1)}`, 'unknown key "extra"'),
  'an unknown dtype': {
    ...badTensor('{"dtype":"F3","shape":[4],"data_offsets":[0,4]}', 'element type "F3"'),
    code: 'unsupported',
  },
  'a dtype in lower case': {
    ...badTensor('{"dtype":"f32","shape":[1],"data_offsets":[0,4]}', 'element type "f32"'),
    code: 'unsupported',
  },
  'a dtype named like a method of objects': {
    ...badTensor('{"dtype":"toString","shape":[1],"data_offsets":[0,4]}', 'element type "toString"'),
    code: 'unsupported',
  },
  'a dtype that is a number': badTensor('{"dtype":8,"shape":[4],"data_offsets":[0,4]}', 'where a string must come'),
  'more bytes than the shape takes': badTensor(
    '{"dtype":"U8","shape":[3],"data_offsets":[0,4]}',
    'U8 [3] takes 3 bytes',
  ),
  'fewer bytes than the shape takes': badTensor(
    '{"dtype":"F32","shape":[2],"data_offsets":[0,4]}',
    'F32 [2] takes 8 bytes',
  ),
  'F4 elements that end within a byte': badTensor(
    '{"dtype":"F4","shape":[3],"data_offsets":[0,2]}',
    'takes 12 bits, which is no whole number of bytes',
  ),
  'F6 elements that end within a byte': badTensor(
    '{"dtype":"F6_E2M3","shape":[2],"data_offsets":[0,2]}',
    'takes 12 bits, which is no whole number of bytes',
  ),
  'metadata that is no object': { bytes: fileBytes('{"__metadata__":"pt"}'), says: '__metadata__ has' },
  'metadata that is null': { bytes: fileBytes('{"__metadata__":null}'), says: '__metadata__ has "n"' },
  'a metadata value that is a number': {
    bytes: fileBytes('{"__metadata__":{"step":3}}'),
    says: '__metadata__ has "3" at byte',
  },
};

const LAYOUTS: Record<string, HostileCase> = {
  'overlapping tensors': { bytes: twoTensors([0, 4], [2, 6], 6), says: 'overlaps the one before it by 2', tensor: 'b' },
  'two tensors over the same bytes': { bytes: twoTensors([0, 4], [0, 4], 4), says: 'overlaps', tensor: 'b' },
  'a hole between tensors': { bytes: twoTensors([0, 4], [6, 8], 8), says: 'leaves a hole of 2 bytes', tensor: 'b' },
  'a hole before the first tensor': { bytes: twoTensors([2, 4], [4, 8], 8), says: 'leaves a hole of 2', tensor: 'a' },
  'an empty tensor in a hole': { bytes: twoTensors([0, 4], [6, 6], 4), says: 'leaves a hole of 2', tensor: 'b' },
  'an empty tensor inside another': { bytes: twoTensors([0, 4], [2, 2], 4), says: 'overlaps', tensor: 'b' },
  'bytes after the last tensor': { bytes: twoTensors([0, 4], [4, 8], 9), says: 'and the file has' },
  'a file cut within the last tensor': { bytes: twoTensors([0, 4], [4, 8], 7), says: 'and the file has', tensor: 'b' },
  'data without a tensor': { bytes: fileBytes('{}', 8), says: 'and the file has' },
  'a tensor beyond the file': {
    bytes: fileBytes('{"w":{"dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]}}', 4),
    says: 'ends at byte',
    tensor: 'w',
  },
};

async function refusal(bytes: Uint8Array): Promise<{ error: unknown; file: string; milliseconds: number }> {
  const file = path.join(temporaryFolder(), 'model.safetensors');
  writeFileSync(file, bytes);
  const start = performance.now();
  const error = await openCheckpoint(file).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, file, milliseconds: performance.now() - start };
}

const GROUPS = { LENGTHS, TEXTS, DUPLICATES, NUMBERS, TENSORS, LAYOUTS };
describe.each(Object.entries(GROUPS))('hostile safetensors: %s', (_, cases) => {
  it.each(Object.entries(cases))(
    '%s is refused by name',
    async (_name, { bytes, says, code = 'unreadable', tensor }) => {
      const { error, file, milliseconds } = await refusal(bytes);
      expect(error).toBeInstanceOf(BirdboneError);
      expect(error).toMatchObject({ code, file, exitCode: 3 });
      const { message, tensor: named, suggestions } = error as BirdboneError;
      expect(message).toContain(file);
      expect(message).toContain(says);
      expect(suggestions).not.toHaveLength(0);
      expect(named).toBe(tensor);
      if (tensor !== undefined) expect(message).toContain(`"${tensor}"`);
      expect(milliseconds).toBeLessThan(MAX_MILLISECONDS);
    },
  );
});

/** What looks odd and is allowed: refusing it would shut out sound files. */
describe('unusual but sound safetensors', () => {
  async function opened(bytes: Uint8Array) {
    const file = path.join(temporaryFolder(), 'model.safetensors');
    writeFileSync(file, bytes);
    return openCheckpoint(file);
  }

  it('has no tensors at all', async () => {
    const checkpoint = await opened(fileBytes('{}      '));
    expect([...checkpoint.tensors.keys()]).toEqual([]);
    await checkpoint.close();
  });

  it('lists tensors in another order than their bytes, with white space in between', async () => {
    const data = patterned(8);
    const checkpoint = await opened(
      fileBytes(`{ "b" :\t{"shape":[4],"data_offsets":[4, 8],\r\n"dtype":"U8"}, "a":${ENTRY}\n}   `, data),
    );
    expect(await checkpoint.read('a')).toEqual(data.slice(0, 4));
    expect(await checkpoint.read('b')).toEqual(data.slice(4, 8));
    await checkpoint.close();
  });

  it('has tensors without elements at the same offset, as the reference allows', async () => {
    const empty = (at: number) => ({ dtype: 'F32', shape: [0, 3], data_offsets: [at, at] });
    const header = { e1: empty(0), e2: empty(0), w: u8(0, 4), e3: empty(4), e4: empty(4) };
    const checkpoint = await opened(fileBytes(header, patterned(4)));
    expect(await checkpoint.read('e2')).toHaveLength(0);
    expect(await checkpoint.read('w')).toEqual(patterned(4));
    await checkpoint.close();
  });

  it('names tensors after the parts of objects, without touching any object', async () => {
    const header = `{"__proto__":${ENTRY},"constructor":{"dtype":"U8","shape":[0],"data_offsets":[4,4]},"__metadata__":{"__proto__":"polluted","toString":"x"}}`;
    const checkpoint = await opened(fileBytes(header, patterned(4)));
    expect([...checkpoint.tensors.keys()]).toEqual(['__proto__', 'constructor']);
    expect(await checkpoint.read('__proto__')).toEqual(patterned(4));
    expect(Object.keys(checkpoint.metadata)).toEqual(['__proto__', 'toString']);
    expect(Object.getPrototypeOf(checkpoint.metadata)).toBe(Object.prototype);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    await expect(checkpoint.read('hasOwnProperty')).rejects.toMatchObject({ code: 'unreadable' });
    await checkpoint.close();
  });

  it('has names in every script, escaped or not', async () => {
    const checkpoint = await opened(fileBytes(`{"gew\\u00f6hnlich 骨 \\ud83e\\uddb4🦴":${ENTRY}}`, patterned(4)));
    expect([...checkpoint.tensors.keys()]).toEqual(['gewöhnlich 骨 🦴🦴']);
    await checkpoint.close();
  });

  it('has an empty name', async () => {
    const checkpoint = await opened(fileBytes(`{"":${ENTRY}}`, patterned(4)));
    expect(await checkpoint.read('')).toEqual(patterned(4));
    await checkpoint.close();
  });
});

it('shows names that could steer a terminal as escapes, and shortened', async () => {
  const name = `\\u001b[31m\\u202e${'x'.repeat(100_000)}`;
  const { error } = await refusal(fileBytes(`{"${name}":{}}`));
  const { message } = error as BirdboneError;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not come through
  expect(message).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  expect(message).toContain('\\u001b[31m\\u{202e}');
  expect(message.length).toBeLessThan(600);
});
