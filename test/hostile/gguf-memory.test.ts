import { closeSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { array, entry, ggufBytes, pair, text, u32, u64 } from '../fixtures/gguf-file.js';
import { openingMeter } from '../fixtures/measured-opening.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';

/** The bar is a second on an idle core; a test has to hold on a busy one too. */
const MAX_MILLISECONDS = 10_000;
const MAX_EXTRA_MEGABYTES = 64;

const measureOpening = openingMeter();

/** A file of these pieces, written one by one. */
function fileOf(...pieces: readonly Uint8Array[]): string {
  const file = path.join(temporaryFolder(), 'model.gguf');
  const handle = openSync(file, 'w');
  for (const piece of pieces) writeSync(handle, piece);
  closeSync(handle);
  return file;
}

const repeated = (piece: Uint8Array, count: number) =>
  Buffer.alloc(piece.length * count, Buffer.from(piece) as unknown as Uint8Array);

const prefix = (tensors: number, keys: number) => ggufBytes({ tensorCount: tensors, keyCount: keys });
/** A metadata pair without its value. */
const head = (key: string, type: number) => Buffer.concat([text(key), u32(type)]);

describe('a long header', () => {
  const MB = 1024 * 1024;
  const arrayOf = (type: number, length: number) => Buffer.concat([head('k', 9), u32(type), u64(length)]);
  it.each([
    [
      'of empty strings',
      () => fileOf(prefix(0, 1), arrayOf(8, 60 * MB), Buffer.alloc(480 * MB)),
      'more than the 33554432 bytes',
    ],
    [
      'of 4 million strings, the last of which is too long',
      () => fileOf(prefix(0, 1), arrayOf(8, 4 * MB - 10), Buffer.alloc(32 * MB - 88), u64(2 ** 40)),
      'an element declares 1099511627776 bytes',
    ],
    [
      'of bytes in one array',
      () => fileOf(prefix(0, 1), arrayOf(0, 100 * MB), Buffer.alloc(100 * MB)),
      'more than the 33554432 bytes',
    ],
    [
      'of bools, the last of which is none',
      () => fileOf(prefix(0, 1), arrayOf(7, 30 * MB), Buffer.alloc(30 * MB - 1), Buffer.of(2)),
      'a bool is the byte 2',
    ],
    [
      'of one text',
      () => fileOf(prefix(0, 1), head('k', 8), u64(100 * MB), Buffer.alloc(100 * MB, 'x')),
      'at most 8388608 are read',
    ],
    [
      'of texts of 8 MB',
      () =>
        fileOf(
          prefix(0, 9),
          ...Array.from({ length: 9 }, (_, i) => pair(`${i}`, 'string', text('文'.repeat(2_796_000)))),
        ),
      'more than the 33554432 bytes',
    ],
    [
      'of short keys',
      () =>
        fileOf(prefix(1, 10_000), ...Array.from({ length: 10_000 }, (_, i) => pair(`key ${i}`, 'u8', Buffer.of(1)))),
      'declares 1 tensors, and 0 bytes follow',
    ],
    [
      'of arrays in arrays',
      () =>
        fileOf(
          prefix(0, 2),
          pair('k', 'array', array('array', [], 10_000)),
          repeated(array('u8', []), 9999),
          array(99, []),
        ),
      'its element type is 99',
    ],
    [
      'of tensors, the last of which overlaps the one before it',
      () => {
        const entries = Array.from({ length: 120_000 }, (_, i) =>
          entry({ name: `blk.${i}.weight`, ne: [1], type: 24, offset: 32 * Math.min(i, 119_998) }),
        );
        return fileOf(ggufBytes({ entries, data: 32 * 120_000 }));
      },
      'tensor "blk.119999.weight": its offset 3839936 overlaps',
    ],
  ])('%s is refused in bounded time and memory', (_, make, says) => {
    const { code, message, milliseconds, extraMegabytes } = measureOpening(make());
    expect(code).toBe('unreadable');
    expect(message).toContain(says);
    expect(milliseconds).toBeLessThan(MAX_MILLISECONDS);
    expect(extraMegabytes).toBeLessThan(MAX_EXTRA_MEGABYTES);
  });
});

/** 0.6 s and 70 MB on an idle core, of which the tensors take most. */
it('opens 100 000 tensors and a vocabulary of 262 144 tokens with its merges', () => {
  const tokens = Array.from({ length: 262_144 }, (_, i) => text(`▁tok${i}`));
  const merges = Array.from({ length: 514_906 }, (_, i) => text(`▁tok ${i}en`));
  const pairs = [
    pair('tokenizer.ggml.tokens', 'array', array('string', tokens)),
    pair('tokenizer.ggml.merges', 'array', array('string', merges)),
    pair('tokenizer.ggml.scores', 'array', array('f32', [Buffer.alloc(4 * 262_144)], 262_144)),
    pair('tokenizer.ggml.token_type', 'array', array('i32', [Buffer.alloc(4 * 262_144)], 262_144)),
  ];
  const entries = Array.from({ length: 100_000 }, (_, i) =>
    entry({ name: `blk.${i % 61}.ffn_down_exps.${i}.weight`, ne: [2, 2], type: 24, offset: 32 * i }),
  );
  const { tensors, milliseconds, extraMegabytes } = measureOpening(
    fileOf(ggufBytes({ pairs, entries, data: 3_200_000 })),
  );
  expect(tensors).toBe(100_000);
  expect(milliseconds).toBeLessThan(MAX_MILLISECONDS);
  expect(extraMegabytes).toBeLessThan(100);
});
