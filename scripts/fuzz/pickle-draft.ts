import { type Draft, type Field, type Group, raw, u8, u16, u32, u64 } from './binary-draft.js';

/** An opcode of Python's pickle (Lib/pickletools.py) and what it carries. */
const op = (code: string, ...argument: readonly Field[]): Group => ({
  kind: 'opcode',
  fields: [raw('opcode', code), ...argument],
});
const line = (text: string): Field => raw('line', `${text}\n`);
const counted = (text: string): Field[] => [u32('length', text.length), raw('text', text)];

const global = (module: string, name: string): Group => op('c', line(module), line(name));
const text = (value: string): Group => op('X', ...counted(value));
const int = (value: number): Group => op('J', u32('value', value));
const [mark, tuple, reduce, persistent, stop] = ['(', 't', 'R', 'Q', '.'].map((code) => op(code)) as [
  Group,
  Group,
  Group,
  Group,
  Group,
];
const emptyTuple = op(')');
const protocol = op('\x80', u8('protocol', 2));

export interface PickledTensor {
  readonly name: string;
  /** As torch calls it: FloatStorage. */
  readonly storage: string;
  readonly key: string;
  /** Elements of the storage. */
  readonly elements: number;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** What `torch.save` makes of a dict of tensors, opcode by opcode. */
export function stateDict(tensors: readonly PickledTensor[]): Draft {
  const ordered = [global('collections', 'OrderedDict'), emptyTuple, reduce];
  const items = tensors.flatMap((tensor) => [text(tensor.name), ...rebuilt(tensor)]);
  return [protocol, ...ordered, op('q', u8('memo', 0)), mark, ...items, op('u'), stop];
}

function rebuilt({ storage, key, elements, offset, shape, strides }: PickledTensor): Group[] {
  const numbers = (values: readonly number[]) => [mark, ...values.map(int), tuple];
  const id = [mark, text('storage'), global('torch', storage), text(key), text('cpu'), int(elements), tuple];
  return [
    ...[global('torch._utils', '_rebuild_tensor_v2'), mark, ...id, persistent],
    ...[int(offset), ...numbers(shape), ...numbers(strides), op('\x89')],
    ...[global('collections', 'OrderedDict'), emptyTuple, reduce, tuple, reduce],
  ];
}

/** A pickle of one value. */
export function pickleOf(...value: readonly Group[]): Draft {
  return [protocol, ...value, stop];
}

export const values = {
  int,
  text,
  /** LONG1, little-endian two's complement. */
  long: (bytes: Uint8Array): Group => op('\x8a', u8('length', bytes.length), raw('value', bytes)),
  dict: (...entries: readonly Group[]): Group[] => [op('}'), mark, ...entries, op('u')],
  list: (...items: readonly Group[]): Group[] => [op(']'), mark, ...items, op('e')],
  true: op('\x88'),
};

/** What a hostile pickle has and an honest one does not: names that do things, and opcodes in places that break readers. */
export const HOSTILE_OPCODES: readonly Group[] = [
  ...['os system', 'posix system', 'builtins eval', '__builtin__ exec', 'subprocess Popen', 'torch load'].map(
    (name) => {
      const [module, attribute] = name.split(' ') as [string, string];
      return global(module, attribute);
    },
  ),
  ...['_rebuild_tensor', '_rebuild_parameter', '_rebuild_device_tensor_from_numpy'].map((name) =>
    global('torch._utils', name),
  ),
  ...['HalfStorage', 'DoubleStorage', 'UntypedStorage', 'float32', 'Size', 'device'].map((name) =>
    global('torch', name),
  ),
  op('i', line('os'), line('system')),
  ...['R', 'b', 'o', '\x81', '\x92', '\x93', '}', ']', '(', ')', 't', '\x85', '\x86', '\x87', '.', '0', '1', '2'].map(
    (code) => op(code),
  ),
  ...['a', 'e', 's', 'u', '\x8f', '\x90', '\x91', 'N', '\x88', '\x89', '\x94', 'Q', '\x97', '\x98'].map((code) =>
    op(code),
  ),
  ...[0, 1, 255].flatMap((index) => [op('h', u8('memo', index)), op('q', u8('memo', index))]),
  ...[0, 2 ** 31, 2 ** 32 - 1].flatMap((index) => [op('j', u32('memo', index)), op('r', u32('memo', index))]),
  op('g', line('0')),
  op('p', line('99999999999999999999')),
  op('I', line('-1')),
  op('I', line('01')),
  op('L', line('18446744073709551616L')),
  op('F', line('1e400')),
  op('S', line("'os\\x00'")),
  op('V', line('\\ud800')),
  op('P', line('storage')),
  op('\x80', u8('protocol', 5)),
  op('\x80', u8('protocol', 255)),
  op('\x95', u64('frame', 2n ** 63n)),
  op('\x8b', u32('length', 2 ** 31 - 1)),
  op('\x8a', u8('length', 255)),
  op('\x8e', u64('length', 2n ** 64n - 1n)),
  op('\x8d', u64('length', 4), raw('text', 'text')),
  op('\x8c', u8('length', 4), raw('text', 'text')),
  op('B', u32('length', 4), raw('text', 'text')),
  op('T', u32('length', 4), raw('text', '\xff\xfe\x00\x01')),
  op('\x82', u8('code', 1)),
  op('\x83', u16('code', 1)),
  op('\x84', u32('code', 1)),
  op('G', raw('value', '\x7f\xf8\0\0\0\0\0\0')),
];

export const PICKLE_TEXTS: readonly Uint8Array[] = [
  ...['storage', 'FloatStorage\n', 'OrderedDict\n', 'torch._utils\n', '_rebuild_tensor_v2\n', '0', '1', '../0', ''],
  ...['os\n', 'system\n', '__proto__', 'constructor', 'w\u001b[31m', '\xff', 'numpy.core.multiarray\n', '_metadata'],
].map((word) => Buffer.from(word, 'latin1'));

/** The tensors of one storage each, and the ways in which they can share one. */
export const TENSORS: readonly PickledTensor[] = [
  { name: 'w', storage: 'FloatStorage', key: '0', elements: 6, offset: 0, shape: [2, 3], strides: [3, 1] },
  { name: 'transposed', storage: 'FloatStorage', key: '0', elements: 6, offset: 0, shape: [3, 2], strides: [1, 3] },
  { name: 'tied', storage: 'FloatStorage', key: '0', elements: 6, offset: 0, shape: [2, 3], strides: [3, 1] },
  { name: 'half', storage: 'HalfStorage', key: '1', elements: 4, offset: 1, shape: [3], strides: [1] },
  { name: 'repeated', storage: 'LongStorage', key: '2', elements: 1, offset: 0, shape: [5], strides: [0] },
  { name: 'scalar', storage: 'BoolStorage', key: '3', elements: 1, offset: 0, shape: [], strides: [] },
  { name: 'empty', storage: 'FloatStorage', key: '0', elements: 6, offset: 6, shape: [0], strides: [1] },
];

const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  FloatStorage: 4,
  HalfStorage: 2,
  LongStorage: 8,
  BoolStorage: 1,
};

/** Every storage that the tensors mention, once, with bytes to fill it. */
export function storagesOf(tensors: readonly PickledTensor[]): Map<string, { elements: number; bytes: Uint8Array }> {
  const storages = new Map<string, { elements: number; bytes: Uint8Array }>();
  for (const { key, storage, elements } of tensors) {
    const bytes = Uint8Array.from({ length: elements * ELEMENT_BYTES[storage]! }, (_, i) => (i * 13 + 5) % 251);
    storages.set(key, { elements, bytes });
  }
  return storages;
}
