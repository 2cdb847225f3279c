import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchTensors, tensorGlob } from '../../src/checkpoint/index.js';
import { f32, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

const Q = 'model.layers.10.self_attn.q_proj.weight';

describe('tensorGlob', () => {
  it.each([
    ['*', Q, true],
    ['*', '', true],
    ['*q_proj*', Q, true],
    ['**.q_proj.**', Q, true],
    ['model.layers.*.self_attn.*', Q, true],
    ['q_proj', Q, false],
    ['model.layers.?.self_attn.*', Q, false],
    ['model.layers.??.self_attn.*', Q, true],
    ['*.{q,k}_proj.weight', Q, true],
    ['*.{v,k}_proj.weight', Q, false],
    ['*.{v,{k,q}}_*', Q, true],
    ['*.{,q_}proj.*', Q, true],
    ['model.layers.{0..10}.*', Q, true],
    ['model.layers.{10..0}.*', Q, true],
    ['model.layers.{0..9}.*', Q, false],
    ['model.layers.{1..1}.*', Q, false],
    ['model.layers.[0-9][0-9].*', Q, true],
    ['model.layers.[!1]*', Q, false],
    ['model.layers.[^2]*', Q, true],
    ['model.layers.1[a-z0]*', Q, true],
    ['MODEL*', Q, false],
    ['a*b', 'a/b/c.b', true],
    ['a?c', 'a/c', true],
    ['a.c', 'abc', false],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['[]]', ']', true],
    ['[-a]', '-', true],
    ['[a-]', '-', true],
    ['[\\]a]', 'a', true],
    ['(a|b)+', '(a|b)+', true],
    ['(a|b)+', 'a', false],
    ['^a$', '^a$', true],
    ['?', '🦴', true],
    ['a,b}', 'a,b}', true],
    ['*', 'with\nline', true],
    ['', '', true],
    ['', 'a', false],
  ] as const)('%j of %j: %j', (glob, name, matches) => {
    expect(tensorGlob(glob)(name)).toBe(matches);
  });

  it.each(['[', '[a', '[!', '[]', '{a', '{a,{b}', 'a\\', '[z-a]', '{0..99999}'])('refuses %j', (glob) => {
    expect(() => tensorGlob(glob)).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  it('takes any name with its special characters escaped for itself alone', () => {
    const character = fc.constantFrom(...'ab.*?[]{},\\!-^$|()/+');
    const name = fc.string({ unit: character, maxLength: 8 });
    fc.assert(
      fc.property(name, name, (one, other) => {
        const matches = tensorGlob(one.replace(/[*?[\]{},\\]/g, '\\$&'));
        expect([matches(one), matches(other)]).toEqual([true, one === other]);
      }),
    );
  });
});

describe('matchTensors', () => {
  const names = ['model.layers.0.mlp.up_proj.weight', 'model.layers.1.mlp.up_proj.weight', 'model.embed_tokens.weight'];
  const checkpoint = memoryCheckpoint(Object.fromEntries(names.map((name) => [name, f32([1], [1])])), {
    aliases: { 'lm_head.weight': 'model.embed_tokens.weight' },
  });

  it('gives stored names, an alias as what it is tied to, each once', () => {
    expect(matchTensors(checkpoint, ['*up_proj*', 'model.layers.0.*'])).toEqual(names.slice(0, 2));
    expect(matchTensors(checkpoint, ['lm_head*'])).toEqual(['model.embed_tokens.weight']);
    expect(matchTensors(checkpoint, ['*'])).toEqual([...names].sort());
  });

  it.each([
    ['model.layers.0.mlp.up_prj.weight', 'up_proj'],
    ['*up_prj*', 'up_proj'],
    ['model.embed_token.weight', 'embed_tokens'],
  ])('names what is near to %j, which matches nothing', (glob, near) => {
    const details = { code: 'usage', suggestions: expect.arrayContaining([expect.stringContaining(near)]) };
    expect(() => matchTensors(checkpoint, ['*', glob])).toThrow(expect.objectContaining(details));
  });

  it('suggests nothing where nothing is near', () => {
    expect(() => matchTensors(checkpoint, ['zzzzz*'])).toThrow(
      expect.objectContaining({ suggestions: [expect.stringContaining('inspect')] }),
    );
  });
});
