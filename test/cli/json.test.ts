import { describe, expect, it } from 'vitest';
import { toJson } from '../../src/cli/json.js';

describe('toJson', () => {
  it('writes a bigint as a number where that is exact and as a string where it is not', () => {
    expect(JSON.parse(toJson({ small: 3_000_000_000n, large: 2n ** 64n }))).toEqual({
      small: 3_000_000_000,
      large: '18446744073709551616',
    });
  });

  it('writes the empty object, which a falsy result would not', () => {
    expect(toJson({})).toBe('{}');
  });
});
