import { quoted } from '../files/quote.js';
import { DICT_ENTRY_BYTES, SLOT_BYTES } from './pickle-containers.js';
import {
  describeValue,
  type Made,
  PickleDict,
  PickleFloat,
  PickleList,
  PickleSet,
  type PickleValue,
} from './pickle-values.js';
import { rebuildParameter, rebuildTensor } from './rebuild.js';
import { ELEMENT_TYPES, STORAGE_TYPES } from './torch-dtypes.js';
import { type AllowedCall, AllowedGlobal, Aside, type CallSite, StorageType, TorchDtype } from './torch-values.js';

/**
 * The Python names that weights need, by module and name, and what each is: the list of torch's own `weights_only` loader,
 * less what is no tensor of plain numbers. A name is looked up whole: `torch` with `_utils.x` is not `torch._utils` with `x`.
 * Source: torch/_weights_only_unpickler.py (`_get_allowed_globals`).
 */
export function allowedGlobal(module: string, name: string): Made | undefined {
  const call = CALLS.get(module)?.get(name);
  if (call !== undefined) return new AllowedGlobal(`${module}.${name}`, call);
  if (module === 'torch') {
    const dtype = ELEMENT_TYPES.get(name);
    if (dtype !== undefined) return new TorchDtype(`torch.${name}`, dtype);
    const stored = STORAGE_TYPES.get(name);
    if (stored !== undefined) return new StorageType(`torch.${name}`, stored);
  }
  const isUntyped = name === 'UntypedStorage' && (module === 'torch' || module === 'torch.storage');
  return isUntyped ? new StorageType(`${module}.${name}`, undefined) : undefined;
}

/** Why a name that real checkpoints have is not on the list; undefined for one that says nothing to us. */
export function reasonAgainst(module: string, name: string): string | undefined {
  if (module === 'torch' && (ELEMENT_TYPES.has(name) || STORAGE_TYPES.has(name))) {
    return 'a type whose values no type of birdbone holds';
  }
  return REASONS.find(([pattern]) => pattern.test(`${module}.${name}`))?.[1];
}

const REASONS: readonly (readonly [RegExp, string])[] = [
  [/^torch\._utils\._rebuild_qtensor$/, 'a tensor quantized by torch, whose scales are not in its bytes'],
  [/^torch\._utils\._rebuild_sparse/, 'a sparse tensor'],
  [/^torch\._utils\._rebuild_meta_tensor/, 'a tensor without bytes'],
  [/^torch\._(?:utils|tensor)\._rebuild_(?:from_type|wrapper)/, 'a tensor of a class of its own'],
  [/^torch\.nn\.modules\./, 'a whole module saved with its code, where a state_dict would do'],
  [/^numpy\./, 'an array or number of numpy'],
  [/^argparse\.Namespace$/, 'the options of the training run, saved along'],
];

/** What may be called, by module and name. Each takes the arguments that torch writes, and no others. */
const CALLS: ReadonlyMap<string, ReadonlyMap<string, AllowedCall>> = new Map(
  Object.entries({
    collections: { OrderedDict: dictOf, Counter: dictOf },
    builtins: { set: setOf, frozenset: setOf, bytes: bytesOf, bytearray: bytesOf, complex: complexOf },
    // Python 2's name for it, which protocols up to 2 use.
    __builtin__: { set: setOf, frozenset: setOf, bytes: bytesOf, bytearray: bytesOf, complex: complexOf },
    _codecs: { encode: bytesOf },
    torch: { Size: sizeOf, device: deviceOf },
    'torch._utils': {
      _rebuild_tensor: rebuildTensor(1),
      _rebuild_tensor_v2: rebuildTensor(2),
      _rebuild_tensor_v3: rebuildTensor(3),
      _rebuild_parameter: rebuildParameter(3, 3),
      _rebuild_parameter_with_state: rebuildParameter(4, 4),
    },
    'torch.nn.parameter': { Parameter: rebuildParameter(1, 2) },
  } satisfies Record<string, Record<string, AllowedCall>>).map(([module, calls]) => [
    module,
    new Map(Object.entries(calls)),
  ]),
);

/** `OrderedDict()`, and of a list of pairs or a dict. */
function dictOf(args: readonly PickleValue[], { fail, charge }: CallSite): PickleDict {
  const [source, ...more] = args;
  const dict = new PickleDict();
  if (source instanceof PickleDict && more.length === 0) {
    charge(DICT_ENTRY_BYTES * source.size);
    for (const [key, value] of source.entries) dict.entries.set(key, value);
    return dict;
  }
  if (source === undefined) return dict;
  if (!(source instanceof PickleList) || more.length > 0) return fail(`it makes a dict of ${describeValue(source)}`);
  charge(DICT_ENTRY_BYTES * source.items.length);
  for (const pair of source.items) {
    const [key, value, ...rest] = pair instanceof PickleList ? pair.items : Array.isArray(pair) ? pair : [];
    if (typeof key !== 'string' || value === undefined || rest.length > 0) return fail('it makes a dict of no pairs');
    if (dict.entries.has(key)) return fail(`it makes a dict that has the key ${quoted(key)} twice`);
    dict.entries.set(key, value);
  }
  return dict;
}

function setOf(args: readonly PickleValue[], { fail, charge }: CallSite): PickleSet {
  const [source] = args;
  if (!(source instanceof PickleList) || args.length > 1) return fail(`it makes a set of ${describeValue(source)}`);
  charge(SLOT_BYTES * source.items.length);
  const set = new PickleSet();
  for (const item of source.items) set.items.push(item);
  return set;
}

/** Bytes, which the protocols before 3 write as a text of characters below U+0100 to be encoded in Latin-1. */
function bytesOf(args: readonly PickleValue[], { fail, charge }: CallSite): Uint8Array {
  const [text, encoding] = args;
  if (args.length === 0) return new Uint8Array(0);
  if (text instanceof Uint8Array && args.length === 1) return text;
  const isLatin1 = encoding === 'latin1' || encoding === 'latin-1';
  if (typeof text !== 'string' || !isLatin1 || args.length > 2) {
    return fail(`it encodes ${describeValue(text)}; only texts in latin1 are encoded`);
  }
  charge(text.length);
  if (/[^\0-\xff]/.test(text)) return fail('it encodes characters in latin1 that it does not have');
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

function complexOf(args: readonly PickleValue[], { fail }: CallSite): Aside {
  const isPair = args.length === 2 && args.every((part) => part instanceof PickleFloat);
  return isPair ? new Aside('a complex number') : fail('it makes a complex number of other than two floats');
}

/** A tuple, as a shape is one. */
function sizeOf(args: readonly PickleValue[], { fail }: CallSite): PickleValue {
  const [source] = args;
  if (args.length === 1 && Array.isArray(source)) return source;
  return source instanceof PickleList && args.length === 1 ? source.items : fail('it makes a torch.Size of no tuple');
}

function deviceOf(args: readonly PickleValue[], { fail }: CallSite): Aside {
  const [type, index, ...rest] = args;
  const isDevice = typeof type === 'string' && (index === undefined || typeof index === 'number') && rest.length === 0;
  return isDevice ? new Aside('a device') : fail('it makes a torch.device of other than a name and a number');
}
