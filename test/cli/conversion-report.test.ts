import { describe, expect, it } from 'vitest';
import { renderConversion, type ShownConversion } from '../../src/cli/conversion-report.js';

const conversion: ShownConversion = {
  out: 'out/model.gguf',
  written: true,
  from: 'safetensors',
  to: 'gguf',
  bytes: 2_760_000,
  tensors: [
    { from: 'BF16', to: 'F16' },
    { from: 'BF16', to: 'F16' },
    { from: 'F32', to: 'F32' },
  ],
  tokenizer: { texts: 40, differing: 1 },
  lost: ['Files that do not go into a GGUF: README.md.'],
};
const none = { elements: 100, changed: 0, saturated: 0, zeroed: 0, nan: 0 };

describe('renderConversion', () => {
  it('says what was written, from what, and what stayed behind', () => {
    expect(renderConversion(conversion).split('\n')).toEqual([
      'wrote  out/model.gguf: gguf, 2.76 MB in 3 tensors',
      'from   safetensors, 2 tensors BF16 → F16, 1 tensor F32',
      'tokens 39 of 40 tried texts get the same ids',
      'note   Files that do not go into a GGUF: README.md.',
    ]);
    expect(renderConversion({ ...conversion, written: false })).toMatch(/^would write {2}out/);
  });

  it('says that a cast changed nothing', () => {
    const text = renderConversion({ ...conversion, cast: { total: none, tensors: {} } });
    expect(text.split('\n').at(-1)).toBe('cast   none of 100 values changed');
  });

  it('counts what a cast changed, in all and tensor by tensor where it is more than rounding', () => {
    const total = { elements: 100, changed: 7, saturated: 2, zeroed: 1, nan: 3 };
    const rounded = { ...none, changed: 4 };
    const text = renderConversion({
      ...conversion,
      cast: { total, tensors: { 'a.weight': total, 'b.weight': rounded } },
    });
    expect(text).toContain('cast   7 of 100 values changed');
    expect(text).toContain('2 were too large, and are the largest finite value now');
    expect(text).toContain('1 were too small, and are zero now');
    expect(text).toContain('3 are NaN, and stay so');
    expect(text).toMatch(/a\.weight +2 +1 +3/);
    expect(text).not.toContain('b.weight');
  });
});
