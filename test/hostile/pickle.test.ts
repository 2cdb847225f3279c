import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { BY_NAME, BY_OPCODE, EXHAUSTING, laughs, MALFORMED } from '../fixtures/hostile-pickles.js';
import { openingMeter, scanMeter } from '../fixtures/measured-opening.js';
import {
  BINPERSID,
  bytes,
  call,
  contiguous,
  dict,
  EMPTY_TUPLE,
  FALSE,
  global,
  int,
  NONE,
  pickle,
  storage,
  TRUE,
  tensor,
  text,
  tuple,
} from '../fixtures/pickle-assembler.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';
import { LEGACY_START, torchZip } from '../fixtures/torch-file.js';
import { refusalOf } from './refusal.js';

/** The bar is a second on an idle core; a test has to hold on a busy one too. */
const MAX_BUSY_MILLISECONDS = 10_000;

const measureOpening = openingMeter();
const measureScan = scanMeter();

/** A pickle as each of the containers holds it. */
const CONTAINERS: readonly (readonly [string, string, (hostile: Uint8Array) => Uint8Array])[] = [
  ['alone', 'model.pkl', (hostile) => hostile],
  ['in a file that calls itself .bin', 'pytorch_model.bin', (hostile) => hostile],
  ['as the data.pkl of an archive', 'model.pt', (hostile) => torchZip(hostile)],
  ['as the value of a legacy file', 'model.th', (hostile) => bytes(LEGACY_START, hostile, pickle(']'))],
];

describe.each(CONTAINERS)('a hostile pickle %s', (_, name, contain) => {
  it.each(Object.entries({ ...BY_NAME, ...BY_OPCODE }))('with %s is refused by name', async (_case, hostile) => {
    const error = await refusalOf(name, contain(hostile.bytes));
    expect(error.code).toBe('unsupported');
    expect(error.message).toContain(hostile.names);
    expect(error.message).toMatch(/[A-Z_0-9]+ at byte \d+: /);
    expect(error.suggestions[0]).toContain('birdbone scan');
  });
});

describe.each(CONTAINERS.slice(0, 3))('a malformed pickle %s', (_, name, contain) => {
  it.each(Object.entries(MALFORMED))('with %s is refused', async (_case, { bytes: malformed, says }) => {
    const error = await refusalOf(name, contain(malformed));
    expect(error.code).toBe('unreadable');
    expect(error.message).toContain(says);
  });
});

describe('a pickle that uses up memory or time', () => {
  it.each(Object.entries(EXHAUSTING))('with %s is refused in bounds', (_, { make, says }) => {
    const file = path.join(temporaryFolder(), 'model.pt');
    writeFileSync(file, torchZip(make()));
    const { code, message, milliseconds, extraMegabytes } = measureOpening(file);
    expect(code).toBe('unreadable');
    expect(message).toContain(says);
    expect(milliseconds).toBeLessThan(MAX_BUSY_MILLISECONDS);
    expect(extraMegabytes).toBeLessThan(64);
  });

  it.each(Object.entries(EXHAUSTING))('with %s is scanned in bounds', (_, { make }) => {
    const file = path.join(temporaryFolder(), 'model.pt');
    writeFileSync(file, torchZip(make()));
    const { rules, milliseconds, extraMegabytes } = measureScan(file);
    expect(rules).toEqual(['pickle-malformed']);
    expect(milliseconds).toBeLessThan(MAX_BUSY_MILLISECONDS);
    expect(extraMegabytes).toBeLessThan(64);
  });

  it('with lists that contain one another 2^40 times is refused', async () => {
    const error = await refusalOf('model.pt', torchZip(pickle(laughs(40, int(1)))));
    expect(error).toMatchObject({
      code: 'unreadable',
      message: expect.stringContaining('the same ones over and over'),
    });
  });

  it('with a list that contains itself is refused', async () => {
    const error = await refusalOf('model.pt', torchZip(pickle(']q\x00h\x00a')));
    expect(error).toMatchObject({ code: 'unreadable', message: expect.stringContaining('or in itself') });
  });

  it('with a thousand levels of lists is refused', async () => {
    const error = await refusalOf('model.pt', torchZip(pickle(']'.repeat(1000), 'a'.repeat(999))));
    expect(error).toMatchObject({ code: 'unreadable', message: expect.stringContaining('more than 64 levels deep') });
  });
});

/** An archive with one tensor "w" over a storage of 4 float32. */
function withTensor(view: Uint8Array, storages: readonly Uint8Array[] = [patterned(16)]): Uint8Array {
  return torchZip(pickle(dict([text('w'), view])), storages);
}

const FOUR = storage('FloatStorage', '0', 4);
const view = (
  shape: readonly (number | bigint)[],
  strides: readonly (number | bigint)[],
  offset: number | bigint = 0,
) => tensor(FOUR, { shape, strides, offset });

/** A tensor over `FOUR` with anything for a shape. */
const rebuilt = (shape: Uint8Array | string): Buffer =>
  call(
    'torch._utils',
    '_rebuild_tensor_v2',
    FOUR,
    int(0),
    shape,
    tuple(int(1)),
    FALSE,
    call('collections', 'OrderedDict'),
  );

describe('a tensor', () => {
  it.each([
    ['that is longer than its storage', view([5], [1]), 'its last element is number 4 of a storage that has 4'],
    ['that starts after its storage', view([1], [1], 4), 'its last element is number 4'],
    ['whose stride leads out of it', view([2], [4]), 'its last element is number 4'],
    ['whose offset and strides together lead out of it', view([2, 2], [2, 1], 1), 'its last element is number 4'],
    [
      'whose strides wrap around 2^64 to within it',
      view([2, 2], [2 ** 53 - 1, 2 ** 53 - 1]),
      'its last element is number 18014398509481982 of a storage that has 4',
    ],
    [
      'whose shape wraps around 2^64 to 4',
      view([4194305, 4194305, 211106198978564], [0, 0, 0]),
      'more elements than any',
    ],
    ['of 2^60 elements, made of one', view([2 ** 20, 2 ** 20, 2 ** 20], [0, 0, 0]), 'more elements than any'],
    ['of 2^40 elements, made of one', view([2 ** 40], [0]), 'stand for 4398046511104'],
    ['whose shape and strides differ in length', view([2], [1, 1]), 'differ in length'],
  ])('%s is refused, naming it', async (_, of, says) => {
    const error = await refusalOf('model.pt', withTensor(of));
    expect(error).toMatchObject({ code: 'unreadable', tensor: 'w' });
    expect(error.message).toContain('tensor "w": ');
    expect(error.message).toContain(says);
  });

  it.each(
    [
      ['with a negative stride', view([2], [-1]), "a tensor's strides has -1"],
      ['with a negative offset', view([2], [1], -1), "a tensor's offset has -1"],
      ['with a negative size', view([-2], [1]), "a tensor's shape has -2"],
      ['with a size of 2^63', view([2n ** 63n - 1n], [1]), "a tensor's shape has 9223372036854775807"],
      ['with a size that is a float', rebuilt(tuple('G\x3f\xf0\0\0\0\0\0\0')), "a tensor's shape has a float"],
      ['with a shape that is a list', rebuilt(']'), "a tensor's shape is a list, not a tuple"],
      ['of 65 dimensions', view(Array(65).fill(1), Array(65).fill(1)), 'has 65 dimensions'],
      ['of no storage', tensor(NONE, { shape: [1], strides: [1] }), 'a tensor of None, where a storage must be'],
      [
        'of a tensor',
        tensor(view([1], [1]), { shape: [1], strides: [1] }),
        'a tensor of a tensor, where a storage must be',
      ],
      [
        'with too few arguments',
        call('torch._utils', '_rebuild_tensor_v2', FOUR, int(0)),
        'a tensor of 2 values; 6 to 7 are allowed',
      ],
      [
        'of a storage of -1 elements',
        tensor(storage('FloatStorage', '0', -1), { shape: [1], strides: [1] }),
        'has -1 elements',
      ],
      [
        'of a storage of 2^62 elements, whose bytes wrap around to 0',
        tensor(storage('FloatStorage', '0', 2n ** 62n), { shape: [1], strides: [1] }),
        'its storage has a number elements',
      ],
      [
        'of a storage whose type is a function',
        tensor(
          bytes(
            tuple(text('storage'), global('torch._utils', '_rebuild_tensor'), text('0'), text('cpu'), int(4)),
            BINPERSID,
          ),
          {
            shape: [1],
            strides: [1],
          },
        ),
        'its storage is one of torch._utils._rebuild_tensor',
      ],
      [
        'of a storage that has two sizes',
        tuple(view([1], [1]), tensor(storage('FloatStorage', '0', 8), { shape: [8], strides: [1] })),
        'storage "0" has 32 bytes here and 16 before',
      ],
      [
        'of an untyped storage',
        tensor(storage('UntypedStorage', '0', 16), { shape: [1], strides: [1] }),
        'without an element type',
      ],
    ].filter(([, , says]) => says !== '') as [string, Buffer, string][],
  )('%s is refused', async (_, of, says) => {
    const error = await refusalOf('model.pt', withTensor(of));
    expect(error.code).toBe('unreadable');
    expect(error.message).toContain(says);
  });

  it.each([
    ['with hooks', [FALSE, dict([int(0), NONE]), NONE], 'a tensor with hooks'],
    ['that is negated', [FALSE, NONE, dict([text('neg'), TRUE])], 'a tensor with metadata'],
  ] as const)('%s is refused by name', async (_, extras, says) => {
    const of = call('torch._utils', '_rebuild_tensor_v2', FOUR, int(0), tuple(int(1)), tuple(int(1)), ...extras);
    const error = await refusalOf('model.pt', withTensor(of));
    expect(error).toMatchObject({ code: 'unsupported', message: expect.stringContaining(says) });
  });

  it('under a name that another has is refused', async () => {
    const both = dict([text('a.b'), view([1], [1])], [text('a'), dict([text('b'), view([1], [1])])]);
    const error = await refusalOf('model.pt', torchZip(pickle(both), [patterned(16)]));
    expect(error).toMatchObject({
      code: 'unreadable',
      tensor: 'a.b',
      message: expect.stringContaining('two tensors "a.b"'),
    });
  });

  it('under a key that is no name is refused', async () => {
    const error = await refusalOf('model.pt', torchZip(pickle(dict([EMPTY_TUPLE, view([1], [1])])), [patterned(16)]));
    expect(error.message).toContain('under a key that is neither a text nor a number');
  });
});

it('takes names that JavaScript objects have for what they are: names', async () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
  const entries = names.map(
    (name, i) =>
      [text(name), tensor(storage('FloatStorage', '0', 4), { shape: [1], strides: [1], offset: i })] as const,
  );
  const inner = dict([text('__proto__'), dict([text('polluted'), text('yes')])]);
  const file = path.join(temporaryFolder(), 'model.pt');
  writeFileSync(
    file,
    torchZip(pickle(dict([text('state_dict'), dict(...entries)], [text('extra'), inner])), [patterned(16)]),
  );
  const checkpoint = await openCheckpoint(file);
  expect([...checkpoint.tensors.keys()]).toEqual([...names].sort());
  expect(checkpoint.metadata).toEqual({ 'extra.__proto__.polluted': 'yes', format: 'pt' });
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  expect(await checkpoint.read('__proto__')).toEqual(patterned(16).slice(0, 4));
  await checkpoint.close();
});

it('opens 100 000 tensors', () => {
  const count = 100_000;
  const entries = Array.from({ length: count }, (_, i) => {
    const name = text(`model.layers.${i % 61}.mlp.experts.${i}.down_proj.weight`);
    return [
      name,
      tensor(storage('ByteStorage', '0', count), { shape: [1, 1], strides: contiguous([1, 1]), offset: i }),
    ] as const;
  });
  const file = path.join(temporaryFolder(), 'model.pt');
  const items = Buffer.concat(entries.flat());
  writeFileSync(file, torchZip(pickle('}(', items, 'u'), [Buffer.alloc(count)]));
  const { tensors, milliseconds, extraMegabytes, message } = measureOpening(file);
  expect(tensors, message).toBe(count);
  // It takes 1.6 s of processor time.
  expect(milliseconds).toBeLessThan(3 * MAX_BUSY_MILLISECONDS);
  expect(extraMegabytes).toBeLessThan(150);
});
