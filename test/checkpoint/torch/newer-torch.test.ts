import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/checkpoint/index.js';
import {
  BINPERSID,
  bytes,
  call,
  dict,
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
} from '../../fixtures/pickle-assembler.js';
import { patterned, temporaryFolder } from '../../fixtures/safetensors-file.js';
import { torchZip } from '../../fixtures/torch-file.js';

/** torch 2's storages without a type, whose tensors say theirs. */
const untyped = (key: string, byteLength: number): Buffer =>
  bytes(
    tuple(text('storage'), global('torch.storage', 'UntypedStorage'), text(key), text('cuda:0'), int(byteLength)),
    BINPERSID,
  );
const hooks = call('collections', 'OrderedDict');
const version3 = (key: string, dtype: string, byteLength: number, shape: readonly number[]): Buffer =>
  call(
    'torch._utils',
    '_rebuild_tensor_v3',
    untyped(key, byteLength),
    int(0),
    tuple(...shape.map(int)),
    tuple(...shape.map((_, i) => int(shape.slice(i + 1).reduce((product, size) => product * size, 1)))),
    FALSE,
    hooks,
    global('torch', dtype),
  );

async function opened(value: Buffer, storages: readonly Uint8Array[], more: Parameters<typeof torchZip>[2] = []) {
  const file = path.join(temporaryFolder(), 'model.pt');
  writeFileSync(file, torchZip(pickle(value), storages, more));
  return openCheckpoint(file);
}

it.each([
  ['float8_e4m3fn', 'F8_E4M3', 1],
  ['float8_e5m2', 'F8_E5M2', 1],
  ['float8_e8m0fnu', 'F8_E8M0', 1],
  ['uint16', 'U16', 2],
  ['uint32', 'U32', 4],
  ['uint64', 'U64', 8],
])('reads torch.%s, which came with torch 2', async (name, dtype, elementBytes) => {
  const stored = patterned(6 * elementBytes);
  const checkpoint = await opened(dict([text('w'), version3('0', name, stored.length, [2, 3])]), [stored]);
  expect(checkpoint.tensors.get('w')).toEqual({ name: 'w', dtype, shape: [2, 3], byteLength: stored.length });
  expect(await checkpoint.read('w')).toEqual(stored);
  await checkpoint.close();
});

it('reads an archive with the notes of torch 2', async () => {
  const notes = {
    byteorder: 'little',
    '.format_version': '1',
    '.storage_alignment': '64',
    '.data/serialization_id': '12',
  };
  const more = Object.entries(notes).map(([name, note]) => ({ name: `archive/${name}`, data: Buffer.from(note) }));
  const w = tensor(storage('FloatStorage', '0', 4), { shape: [4], strides: [1] });
  const checkpoint = await opened(dict([text('w'), w]), [patterned(16)], more);
  expect(await checkpoint.read('w')).toEqual(patterned(16));
  await checkpoint.close();
});

it('takes a parameter for its tensor, however it is written', async () => {
  const view = (offset: number): Buffer =>
    tensor(storage('FloatStorage', '0', 4), { shape: [1], strides: [1], offset });
  const parameters = [
    call('torch._utils', '_rebuild_parameter', view(0), TRUE, hooks),
    call('torch._utils', '_rebuild_parameter_with_state', view(1), TRUE, hooks, NONE),
    call('torch.nn.parameter', 'Parameter', view(2), TRUE),
    bytes(global('torch.nn.parameter', 'Parameter'), tuple(view(3)), '\x81'),
  ];
  const checkpoint = await opened(dict(...parameters.map((parameter, i) => [text(`w${i}`), parameter] as const)), [
    patterned(16),
  ]);
  for (const i of [0, 1, 2, 3]) expect(await checkpoint.read(`w${i}`)).toEqual(patterned(16).slice(4 * i, 4 * i + 4));
  await checkpoint.close();
});

it('leaves out a text that is the name of a tensor, which would become an alias when written', async () => {
  const w = tensor(storage('FloatStorage', '0', 4), { shape: [4], strides: [1] });
  const checkpoint = await opened(dict([text('w'), w], [text('best'), text('w')]), [patterned(16)]);
  expect(checkpoint.metadata).toEqual({ format: 'pt' });
  expect(checkpoint.notices).toEqual(['Of the values beside its tensors, 1 are not shown.']);
  await checkpoint.close();
});

it.each([
  ['state_dict', ['w'], []],
  ['model', ['w'], []],
  ['generator', ['generator.w'], []],
  ['model', ['model.w', 'optimizer.m'], ['optimizer']],
])('names tensors under the key %s: %j', async (key, names, others) => {
  const view = (offset: number): Buffer =>
    tensor(storage('FloatStorage', '0', 4), { shape: [1], strides: [1], offset });
  const rest = others.map((other) => [text(other), dict([text('m'), view(1)])] as const);
  const root = dict([text(key), dict([text('w'), view(0)])], ...rest, [text('epoch'), int(3)]);
  const checkpoint = await opened(root, [patterned(16)]);
  expect([...checkpoint.tensors.keys()]).toEqual(names);
  expect(checkpoint.metadata).toEqual({ epoch: '3', format: 'pt' });
  await checkpoint.close();
});
