import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  parseBytes,
  parseDuration,
  parseRatio,
} from '../../src/cli/quantities.js';

describe('parseRatio', () => {
  it.each([
    ['0.5', 0.5],
    ['50%', 0.5],
    ['3 %', 0.03],
    ['.25', 0.25],
    ['0', 0],
    ['100%', 1],
    ['1', 1],
  ])('reads %s', (text, value) => {
    expect(parseRatio(text)).toBeCloseTo(value, 15);
  });

  it.each(['', 'half', '-0.1', '1.5', '101%', '1e-1', '5%%', 'NaN', 'Infinity'])('refuses "%s"', (text) => {
    expect(() => parseRatio(text)).toThrow(/is not a ratio/);
  });

  it('says what a bare percentage should look like', () => {
    expect(() => parseRatio('50')).toThrow(
      expect.objectContaining({ code: 'usage', suggestions: ['Write 50% for a percentage.'] }),
    );
  });

  it('reads a fraction and its percentage alike', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1000 }), (permille) => {
        expect(parseRatio(`${permille / 10}%`)).toBeCloseTo(parseRatio(String(permille / 1000)), 12);
      }),
    );
  });
});

describe('parseDuration', () => {
  it.each([
    ['0', 0],
    ['90s', 90],
    ['1.5m', 90],
    ['12h', 43_200],
    ['1 d', 86_400],
  ])('reads %s', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each(['', '5', '-1d', 'd', '1w', '1d2h', '1e3s'])('refuses "%s"', (text) => {
    expect(() => parseDuration(text)).toThrow(/is not a duration/);
  });
});

describe('parseBytes', () => {
  it.each([
    ['500000', 500_000],
    ['5GB', 5_000_000_000],
    ['4GiB', 4_294_967_296],
    ['1.5 mb', 1_500_000],
    ['8 KiB', 8192],
  ])('reads %s', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each(['', '0', '-1', 'GB', '5 G', '5XB', '1e9', '99999999TB'])('refuses "%s"', (text) => {
    expect(() => parseBytes(text)).toThrow(/is not a size/);
  });
});

describe('formatting', () => {
  it('writes quantities with three significant digits and their unit', () => {
    expect([formatBytes(999), formatBytes(2_600_000), formatBytes(3e9)]).toEqual(['999 B', '2.60 MB', '3.00 GB']);
    expect([formatCount(999), formatCount(5_767_168)]).toEqual(['999', '5.77 M']);
    expect([formatPercent(0.5), formatPercent(0.03125, 2)]).toEqual(['50.0 %', '3.13 %']);
    expect([formatDuration(41.4), formatDuration(3723)]).toEqual(['00:41', '1:02:03']);
  });
});
