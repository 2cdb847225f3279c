import { closeSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openingMeter } from '../fixtures/measured-opening.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';

const HEADER_BYTES = 100_000_000;
/** The bar is a second on an idle core; a test has to hold on a busy one too. */
const MAX_MILLISECONDS = 10_000;

const measureOpening = openingMeter();

/** A header as long as allowed: `start`, then as many `part(i)` as fit, then spaces. */
function longHeader(start: string, part: (i: number) => string): string {
  const file = path.join(temporaryFolder(), 'model.safetensors');
  const handle = openSync(file, 'w');
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(HEADER_BYTES));
  writeSync(handle, prefix);
  let written = writeSync(handle, start);
  for (let i = 0; written < HEADER_BYTES - 5_000_000; ) {
    let text = '';
    for (; text.length < 1_000_000; i += 1) text += part(i);
    written += writeSync(handle, text);
  }
  writeSync(handle, ' '.repeat(HEADER_BYTES - written));
  closeSync(handle);
  return file;
}

describe('a header of 100 MB', () => {
  const text = 'x'.repeat(4_000_000);
  it.each([
    ['of white space', () => longHeader('{', () => '   \n'.repeat(1000)), 'where a string must come'],
    ['of one name', () => longHeader('{"', () => 'weight'.repeat(1000)), 'more text than the 4194304 bytes'],
    [
      'of long metadata',
      () => longHeader('{"__metadata__":{', (i) => `"${i}":"${text}",`),
      '__metadata__ has more text',
    ],
    ['of short metadata', () => longHeader('{"__metadata__":{', (i) => `"${i}":"",`), 'more than 250000 keys'],
    ['of opening brackets', () => longHeader('{"w":', () => '['.repeat(1000)), 'tensor "w": its entry has "["'],
    ['of one number', () => longHeader('{"w":{"dtype":"U8","shape":[', () => '1'.repeat(1000)), 'over 400 digits'],
  ])('%s is refused in bounded time and memory', (_, make, says) => {
    const { code, message, milliseconds, extraMegabytes } = measureOpening(make());
    expect(code).toBe('unreadable');
    expect(message).toContain(says);
    expect(milliseconds).toBeLessThan(MAX_MILLISECONDS);
    expect(extraMegabytes).toBeLessThan(64);
  });
});

it('opens 100 000 tensors, for less than a kilobyte each', () => {
  const count = 100_000;
  const file = path.join(temporaryFolder(), 'model.safetensors');
  const entry = (_: unknown, i: number) =>
    `"model.layers.${i % 61}.mlp.experts.${i}.down_proj.weight":{"dtype":"U8","shape":[1,1],"data_offsets":[${i},${i + 1}]}`;
  const header = `{${Array.from({ length: count }, entry).join(',')}}`;
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  const handle = openSync(file, 'w');
  for (const part of [prefix, Buffer.from(header), Buffer.alloc(count)]) writeSync(handle, part);
  closeSync(handle);
  const { tensors, milliseconds, extraMegabytes } = measureOpening(file);
  expect(tensors).toBe(count);
  expect(milliseconds).toBeLessThan(MAX_MILLISECONDS);
  expect(extraMegabytes).toBeLessThan(120);
});
