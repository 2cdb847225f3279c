import { describe, expect, it } from 'vitest';
import { elementsOf, schemeOf } from '../../src/quantization/index.js';
import { dynamicLevels } from '../../src/quantization/nested-scales.js';
import { BITSANDBYTES_DYNAMIC, BITSANDBYTES_NF4_BORDERS, QLORA_NF4 } from './published-levels.js';

describe('NF4', () => {
  const { levels, encode } = elementsOf(schemeOf('nf4'));

  it('has the levels that QLoRA publishes', () => {
    expect([...levels]).toEqual([...Float32Array.from(QLORA_NF4)]);
  });

  it('has the levels that follow from the normal distribution', () => {
    // QLoRA, section 3: quantiles of N(0, 1), 8 of them below 0 and 9 from 0 on, divided by the largest.
    const offset = 0.9677083;
    const positive = Array.from({ length: 8 }, (_, i) => quantile(0.5 + ((offset - 0.5) * (i + 1)) / 8));
    const negative = Array.from({ length: 7 }, (_, i) => -quantile(0.5 + ((offset - 0.5) * (i + 1)) / 7));
    const largest = Math.max(...positive);
    const derived = [...negative.reverse(), 0, ...positive].map((value) => value / largest);
    for (const [code, level] of derived.entries()) expect(levels[code]).toBeCloseTo(level, 6);
  });

  it('goes over to the next code where the kernel of bitsandbytes does', () => {
    const codes = new Uint8Array(1);
    const codeOf = (value: number) => {
      encode(Float32Array.of(value), 0, 1, { scale: 1, zero: 0, codes, at: 0 });
      return codes[0];
    };
    for (const [code, border] of BITSANDBYTES_NF4_BORDERS.entries()) {
      const at = Math.fround(border);
      expect(codeOf(at)).toBe(code);
      expect(codeOf(next(at))).toBe(code + 1);
    }
    expect(codeOf(-3)).toBe(0);
    expect(codeOf(3)).toBe(15);
  });
});

describe('double quantization', () => {
  it('has the levels of the dynamic type of bitsandbytes', () => {
    const positive = [...Float32Array.from(BITSANDBYTES_DYNAMIC)];
    const negative = positive.slice(0, -1).map((level) => -level);
    expect([...dynamicLevels()]).toEqual([...negative.reverse(), 0, ...positive]);
  });
});

describe('floats of 8 bits', () => {
  it('E4M3: bias 7, subnormals, one NaN for each sign, 448 the largest', () => {
    const { levels, top } = elementsOf(schemeOf('fp8'));
    for (let code = 0; code < 256; code += 1) expect(levels[code]).toBe(e4m3(code));
    expect(top).toBe(448);
  });

  it('E5M2: bias 15, subnormals, Inf and NaN as IEEE 754 has them, 57344 the largest', () => {
    const { levels, top } = elementsOf(schemeOf('fp8-e5m2'));
    for (let code = 0; code < 256; code += 1) expect(levels[code]).toBe(e5m2(code));
    expect(top).toBe(57_344);
  });

  it.each(['fp8', 'fp8-e5m2'])('%s: takes the nearest code, ties to even, and never one that is not finite', (name) => {
    const { levels, encode, top } = elementsOf(schemeOf(name));
    const finite = [...levels.keys()].filter((code) => code < 128 && Number.isFinite(levels[code]!));
    const codes = new Uint8Array(1);
    const codeOf = (value: number) => {
      encode(Float32Array.of(value), 0, 1, { scale: 1, zero: 0, codes, at: 0 });
      return codes[0]!;
    };
    for (const code of finite.slice(0, -1)) {
      const [low, high] = [levels[code]!, levels[code + 1]!];
      expect(codeOf(low)).toBe(code);
      expect(codeOf(-high)).toBe(code + 1 + 128);
      const middle = (low + high) / 2;
      expect(codeOf(middle)).toBe(code % 2 === 0 ? code : code + 1);
      expect(codeOf(next(middle))).toBe(code + 1);
      expect(codeOf(-next(middle))).toBe(code + 1 + 128);
    }
    expect(levels[codeOf(10 * top)]).toBe(top);
    expect(levels[codeOf(-10 * top)]).toBe(-top);
  });
});

/** OCP OFP8 specification 1.0, table 1. */
function e4m3(code: number): number {
  const [sign, exponent, mantissa] = [code >> 7, (code >> 3) & 15, code & 7];
  if (exponent === 15 && mantissa === 7) return Number.NaN;
  const magnitude = exponent === 0 ? (mantissa / 8) * 2 ** -6 : (1 + mantissa / 8) * 2 ** (exponent - 7);
  return sign === 1 ? -magnitude : magnitude;
}

function e5m2(code: number): number {
  const [sign, exponent, mantissa] = [code >> 7, (code >> 2) & 31, code & 3];
  if (exponent === 31 && mantissa > 0) return Number.NaN;
  const finite = exponent === 0 ? (mantissa / 4) * 2 ** -14 : (1 + mantissa / 4) * 2 ** (exponent - 15);
  const magnitude = exponent === 31 ? Number.POSITIVE_INFINITY : finite;
  return sign === 1 ? -magnitude : magnitude;
}

/** The next float32 above a positive one, or towards 0 from a negative one. */
function next(value: number): number {
  const values = Float32Array.of(value);
  const bits = new Int32Array(values.buffer);
  bits[0]! += value > 0 ? 1 : -1;
  return values[0]!;
}

/** Of the standard normal distribution, by bisection of its integral (Simpson's rule). */
function quantile(probability: number): number {
  let [low, high] = [0, 5];
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (0.5 + integral(middle) < probability) low = middle;
    else high = middle;
  }
  return low;
}

function integral(to: number): number {
  const steps = 400;
  const density = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(to);
  for (let i = 1; i < steps; i += 1) sum += density((to * i) / steps) * (i % 2 === 1 ? 4 : 2);
  return (sum * to) / (3 * steps);
}
