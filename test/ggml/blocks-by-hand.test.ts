import { describe, expect, it } from 'vitest';
import { encodeRows } from '../../src/ggml/index.js';

/** 32 values: the ones given, then zeros. */
const block = (...values: number[]) => Float32Array.from({ length: 32 }, (_, i) => values[i] ?? 0);

describe('Q8_0, computed by hand', () => {
  it('has a scale that takes the largest magnitude to 127, and rounds halves away from zero', () => {
    // d = 127 / 127 = 1, half 0x3c00. 2.5 → 3 and −2.5 → −3 (0xfd), where ties to even would give ±2.
    const bytes = encodeRows('Q8_0', block(127, -127, 2.5, -2.5, 0.49, 1), 32);
    expect([...bytes]).toEqual([0x00, 0x3c, 127, 0x81, 3, 0xfd, 0, 1, ...new Array(26).fill(0)]);
  });

  it('divides by the scale before it is rounded to a half', () => {
    // d = 1 / 127 = 0.00787402; as a half 0x2008 = 0.00787354. 0.5 · 127 = 63.5 → 64.
    const bytes = encodeRows('Q8_0', block(0.5, -1), 32);
    expect([...bytes.subarray(0, 4)]).toEqual([0x08, 0x20, 64, 0x81]);
  });

  it('is zero for zeros', () => {
    expect(encodeRows('Q8_0', block(), 32)).toEqual(new Uint8Array(34));
  });
});

describe('Q4_0, computed by hand', () => {
  it('has a scale that takes the extreme value to code 0, and puts element i beside element i + 16', () => {
    // The extreme is 4: d = 4 / −8 = −0.5, half 0xb800. x / d + 8.5 cut: 4 → 0, −4 → 16, held to 15, 1 → 6, −0.5 → 9, 0 → 8.
    const values = block(4, 1, -0.5);
    values[16] = -4;
    const bytes = encodeRows('Q4_0', values, 32);
    expect([...bytes]).toEqual([0x00, 0xb8, 0xf0, 0x86, 0x89, ...new Array(13).fill(0x88)]);
  });

  it('takes the first of two extremes', () => {
    // −2 comes first: d = −2 / −8 = 0.25, half 0x3400; 2 / 0.25 + 8.5 = 16.5, held to 15.
    const bytes = encodeRows('Q4_0', block(-2, 2), 32);
    expect([...bytes.subarray(0, 4)]).toEqual([0x00, 0x34, 0x80, 0x8f]);
  });

  it('has the codes of zero for zeros', () => {
    // d = 0 / −8, which is −0: half 0x8000.
    expect([...encodeRows('Q4_0', block(), 32)]).toEqual([0x00, 0x80, ...new Array(16).fill(0x88)]);
  });
});

describe('Q4_1, Q5_0 and Q5_1, computed by hand', () => {
  it('spread 16 codes from the least to the largest value', () => {
    // least −1, largest 2: d = 3 / 15 = 0.2, half 0x3266; m = −1, half 0xbc00. 0 → 5, −1 → 0, 2 → 15.
    const bytes = encodeRows('Q4_1', block(-1, 2), 32);
    expect([...bytes]).toEqual([0x66, 0x32, 0x00, 0xbc, 0x50, 0x5f, ...new Array(14).fill(0x55)]);
  });

  it('put fifth bits into 32 bits of their own', () => {
    // Q5_0: extreme −16, d = 1, half 0x3c00: −16 → 0, 15 → 31, 0 → 16: fifth bits everywhere but at element 0.
    const five = encodeRows('Q5_0', block(-16, 15), 32);
    expect([...five.subarray(0, 8)]).toEqual([0x00, 0x3c, 0xfe, 0xff, 0xff, 0xff, 0x00, 0x0f]);
    // Q5_1: 0 to 31, d = 1, m = 0: codes as the values are.
    const ramp = encodeRows(
      'Q5_1',
      Float32Array.from({ length: 32 }, (_, i) => i),
      32,
    );
    const halves = Array.from({ length: 16 }, (_, i) => i | (i << 4));
    expect([...ramp]).toEqual([0x00, 0x3c, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, ...halves]);
  });
});
