import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { memorySource } from '../../../src/checkpoint/files/bytes.js';
import { runPickle } from '../../../src/checkpoint/torch/pickle-machine.js';
import { PickleReader } from '../../../src/checkpoint/torch/pickle-reader.js';
import {
  PickleDict,
  PickleFloat,
  PickleList,
  PickleSet,
  type PickleValue,
} from '../../../src/checkpoint/torch/pickle-values.js';
import { WeightsRuntime } from '../../../src/checkpoint/torch/weights-runtime.js';
import { bytes } from '../../fixtures/pickle-assembler.js';

function run(pickle: Uint8Array): PickleValue {
  const fail = (problem: string): never => {
    throw new Error(problem);
  };
  const reader = new PickleReader(memorySource('memory', pickle), { start: 0, end: pickle.length }, fail);
  const value = runPickle(reader, new WeightsRuntime({ fail, refuse: fail }), fail);
  expect(reader.bytesLeft).toBe(0);
  return value;
}

/** A value in JavaScript's own types: tuples and lists as arrays, floats as objects, sets as sets. */
function plain(value: PickleValue): unknown {
  if (value instanceof PickleFloat) return { float: value.value };
  if (value instanceof PickleList) return value.items.map(plain);
  if (value instanceof PickleSet) return new Set(value.items.map(plain));
  if (value instanceof PickleDict) return new Map([...value.entries].map(([key, item]) => [key, plain(item)]));
  if (value instanceof Uint8Array) return [...value];
  return Array.isArray(value) ? value.map(plain) : value;
}

/** What `plain` is in test/fixtures/torch/make.py. */
const PLAIN = new Map<string, unknown>([
  ['integers', [0, 1, -1, 255, 256, 65535, 65536, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 2n ** 53n + 1n, -(2n ** 70n)]],
  ['floats', [0, -0, 1.5, -1e300, 5e-324, Infinity, -Infinity].map((float) => ({ float }))],
  ['others', [true, false, null]],
  ['tuples', [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]]],
  ['texts', ['', 'héllo € \u{1d11e}\n\\u0041\t\'"', 'x'.repeat(300)]],
  ['bytes', [[], [0, 255, 0, 255, 0, 255]]],
  ['sets', [new Set([7]), new Set([3])]],
  ['nested', new Map([['a', new Map([['b', [new Map([['c', []]])]]])]])],
  ['shared', [[1], [1], [1]]],
]);
PLAIN.set(
  'shared',
  [[[1]], [[1]], [[1]]].map(([item]) => item).map((item) => item),
);

it.each([0, 1, 2, 3, 4, 5])('gives what Python saved with protocol %i', (protocol) => {
  const file = fileURLToPath(new URL(`../../fixtures/torch/plain-protocol-${protocol}.pkl`, import.meta.url));
  expect(plain(run(readFileSync(file)))).toEqual(PLAIN);
});

it.each([
  ["S'it\\'s \\x41\\n\\\\'\np0\n.", "it's A\n\\"],
  ['S"caf\\xc3\\xa9"\n.', 'café'],
  ['U\x05caf\xc3\xa9.', 'café'],
  ['T\x02\0\0\0hi.', 'hi'],
  ['Vraw \\u20ac \\U0001d11e \xe9\n.', 'raw € \u{1d11e} é'],
  ['I01\n.', true],
  ['I00\n.', false],
  ['I-42\n.', -42],
  ['L9007199254740993L\n.', 9007199254740993n],
  ['F-2.5e-3\n.', { float: -0.0025 }],
  ['Fnan\n.', { float: Number.NaN }],
  ['\x8a\x00.', 0],
  ['\x8a\x01\xff.', -1],
  ['\x8a\x02\xff\x00.', 255],
  ['\x8b\x02\0\0\0\x00\x80.', -32768],
  ['G\x3f\xf8\0\0\0\0\0\0.', { float: 1.5 }],
  ['(I1\nI2\nl.', [1, 2]],
  ['(I1\nI2\nd.', new Map([[1, 2]])],
  ['(I1\n1N.', null],
  ['I1\nI2\n0.', 1],
  ['(0N.', null],
  ['N\x94h\x00\x86.', [null, null]],
  ['\x8f(K\x01\x90.', new Set([1])],
  ['\x96\x02\0\0\0\0\0\0\0ab.', [97, 98]],
])('runs %j', (pickle, value) => {
  expect(plain(run(bytes(pickle)))).toEqual(value);
});

it.each([
  ["S'it\n."],
  ["S'it's'\n."],
  ['Sit\n.'],
  ["S'\\q'\n."],
  ['V\\ud800\n.'],
  ['V\\U00110000\n.'],
  ['F1_0\n.'],
  ['I 1\n.'],
])('refuses %j, which Python’s pickler never writes', (pickle) => {
  expect(() => run(bytes(pickle))).toThrow(/ at byte 0 has /);
});
