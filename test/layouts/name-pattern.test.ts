import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { namePattern } from '../../src/layouts/compressed-tensors/name-pattern.js';
import { closest, targetsOf } from '../../src/layouts/compressed-tensors/targets.js';

const matches = (pattern: string, name: string) => namePattern(pattern, 'config.json')(name);

/** Patterns over two letters, as text, of everything that is known. */
const { pattern } = fc.letrec((tie) => ({
  pattern: fc.oneof({ maxDepth: 4, depthSize: 'medium' }, tie('atom'), tie('pair'), tie('choice'), tie('repeat')),
  atom: fc.constantFrom('a', 'b', '.', '\\.', '[ab]', '[^a]', '[a-c]', '\\d', '\\w', '^', '$', 'a\\.b'),
  pair: fc.tuple(tie('pattern'), tie('pattern')).map(([left, right]) => `${left}${right}`),
  choice: fc
    .tuple(tie('pattern'), tie('pattern'), fc.boolean())
    .map(([left, right, plain]) => `(${plain ? '' : '?:'}${left}|${right})`),
  repeat: fc
    .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '*?', '+?'))
    .map(([inner, sign]) => `(?:${inner})${sign}`),
}));

describe('patterns of module names', () => {
  it('match what JavaScript finds at the beginning', () => {
    fc.assert(
      fc.property(
        pattern as fc.Arbitrary<string>,
        fc.string({ unit: fc.constantFrom('a', 'b', '.', '1'), maxLength: 6 }),
        (text, name) => {
          expect(matches(text, name)).toBe(new RegExp(`^(?:${text})`).test(name));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['.*lm_head', 'model.lm_head', true],
    ['.*self_attn\\.(q|k|v|o)_proj$', 'model.layers.3.self_attn.k_proj', true],
    ['.*self_attn\\.(q|k|v|o)_proj$', 'model.layers.3.self_attn.k_proj_2', false],
    ['model\\.layers\\.(0|1)\\.', 'model.layers.10.mlp', false],
    ['.*mlp.gate$', 'model.layers.0.mlp.gate_proj', false],
    ['vision_tower.*', 'model.vision_tower', false],
  ])('%s on %s: %s', (text, name, expected) => {
    expect(matches(text, name)).toBe(expected);
  });

  it('take time in proportion to the name, where backtracking takes for ever', () => {
    const start = performance.now();
    expect(matches('(a+)+(a|aa)+$', `${'a'.repeat(5000)}!`)).toBe(false);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it.each(['(?!x)a', 'a{2}', '(a', 'a)', '[a', '\\1', '\\', '*a', '(?P<n>a)', 'a'.repeat(1001)])(
    'refuse %s',
    (text) => {
      expect(() => namePattern(text, 'config.json')).toThrow(
        expect.objectContaining({ code: 'unsupported', file: 'config.json' }),
      );
    },
  );
});

describe('targets', () => {
  it('mean a module by name before pattern, by pattern before class', () => {
    const entries = [['Linear'], ['re:.*mlp.*'], ['model.layers.0.mlp.up_proj'], ['re:.*up_proj']].map(
      (texts, index) => ({
        index,
        targets: targetsOf(texts, 'config.json'),
      }),
    );
    expect(closest(entries, 'model.layers.0.mlp.up_proj')?.index).toBe(2);
    expect(closest(entries, 'model.layers.1.mlp.up_proj')?.index).toBe(1);
    expect(closest(entries, 'model.layers.1.self_attn.q_proj')?.index).toBe(0);
    expect(closest(entries.slice(1), 'model.layers.1.self_attn.q_proj')).toBeUndefined();
  });
});
