import { boundary } from './boundary.js';
import { branchesOf, childrenOf, copyOf, type JsonEntries, type JsonList, type JsonTree } from './json-tree.js';
import type { Random } from './random.js';

/** Scalars that readers trip over: numbers in other spellings, other types, text that is not text. */
const SCALARS: readonly string[] = [
  ...['null', 'true', 'false', '""', '"0"', '[]', '{}', '0', '-0', '-1', '1.0', '1.5', '1e3', '1e400', '-1e400'],
  ...['01', '+1', '.5', '5.', '0x10', 'NaN', 'Infinity', '1E1', '9007199254740993', '18446744073709551616'],
  ...['"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\x41"', '"\t"', '"\u202e"', '"\u001b[31m"', '"\\"', "'a'"],
  ...['"../x.safetensors"', '"/etc/passwd"', '"C:\\\\x"', '"file:///x"', '"\u{1f600}"', '"e\u0301"'],
];

const KEYS: readonly string[] = [
  ...['"__proto__"', '"constructor"', '"__metadata__"', '"dtype"', '"shape"', '"data_offsets"', '""', '"length"'],
  ...['"weight_map"', '"metadata"', '"total_size"', '"hasOwnProperty"', '"\\u005f_proto__"', '"toString"'],
];

/** Deeper than any limit that a reader may have, and still a small file. */
const DEPTH = 80;

/** A changed copy; `words` are texts (with their quotes) that mean something to the format. */
export function mutateJson(tree: JsonTree, random: Random, words: readonly string[]): JsonTree {
  const copy = copyOf(tree);
  const branches = branchesOf(copy);
  if (branches.length === 0) return random.pick(SCALARS);
  const branch = random.pick(branches);
  if (childrenOf(branch).length === 0) grow(branch, random, words);
  else random.pick(TREE_MUTATIONS)(branch, random, words);
  return copy;
}

type TreeMutation = (branch: JsonList | JsonEntries, random: Random, words: readonly string[]) => void;

const TREE_MUTATIONS: readonly TreeMutation[] = [
  changeNumber,
  changeNumber,
  changeNumber,
  (branch, random) => setChild(branch, random, random.pick(SCALARS)),
  (branch, random, words) => setChild(branch, random, random.pick(words)),
  (branch, random, words) => setChild(branch, random, random.pick(words)),
  (branch, random) => removeChild(branch, random.below(childrenOf(branch).length)),
  swapChildren,
  repeatChild,
  renameKey,
  grow,
  (branch, random) => {
    const [open, close] = random.pick([
      ['[', ']'],
      ['{"a":', '}'],
    ] as const);
    setChild(branch, random, open.repeat(DEPTH) + (random.oneIn(2) ? '0' : '') + close.repeat(DEPTH));
  },
];

function changeNumber(branch: JsonList | JsonEntries, random: Random): void {
  const children = childrenOf(branch);
  const at = random.below(children.length);
  const child = children[at]!;
  const isNumber = typeof child === 'string' && /^[0-9]{1,19}$/.test(child);
  children[at] = String(boundary(random, isNumber ? BigInt(child) : 0n));
}

function setChild(branch: JsonList | JsonEntries, random: Random, value: JsonTree): void {
  const children = childrenOf(branch);
  children[random.below(children.length)] = value;
}

function removeChild(branch: JsonList | JsonEntries, at: number): void {
  childrenOf(branch).splice(at, 1);
  if (branch.kind === 'entries') branch.keys.splice(at, 1);
}

/** Of an object this exchanges what two keys mean, and leaves the order of keys. */
function swapChildren(branch: JsonList | JsonEntries, random: Random): void {
  const children = childrenOf(branch);
  const [left, right] = [random.below(children.length), random.below(children.length)];
  [children[left], children[right]] = [children[right]!, children[left]!];
}

/** In an object the key is then there twice, or under a name of its own. */
function repeatChild(branch: JsonList | JsonEntries, random: Random, words: readonly string[]): void {
  const children = childrenOf(branch);
  const at = random.below(children.length);
  children.push(copyOf(children[at]!));
  if (branch.kind === 'entries') branch.keys.push(random.oneIn(2) ? branch.keys[at]! : random.pick(words));
}

/** A list has no keys, and stays. */
function renameKey(branch: JsonList | JsonEntries, random: Random, words: readonly string[]): void {
  if (branch.kind === 'entries')
    branch.keys[random.below(branch.keys.length)] = random.oneIn(2) ? random.pick(KEYS) : random.pick(words);
}

function grow(branch: JsonList | JsonEntries, random: Random, words: readonly string[]): void {
  const value = random.oneIn(2) ? random.pick(words) : random.pick(SCALARS);
  childrenOf(branch).push(value);
  if (branch.kind === 'entries') branch.keys.push(random.pick(random.oneIn(2) ? words : KEYS));
}
