/**
 * JSON as it is written, not as it is meant: a scalar is its own text, an object a list that may name a key twice. What
 * `JSON.parse` forgets is what hostile files are made of.
 */
export type JsonTree = string | JsonList | JsonEntries;

export interface JsonList {
  readonly kind: 'list';
  readonly items: JsonTree[];
}

export interface JsonEntries {
  readonly kind: 'entries';
  /** Keys with their quotes. */
  readonly keys: string[];
  readonly values: JsonTree[];
}

export function treeOf(value: unknown): JsonTree {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return { kind: 'list', items: value.map(treeOf) };
  const entries = Object.entries(value);
  return {
    kind: 'entries',
    keys: entries.map(([key]) => JSON.stringify(key)),
    values: entries.map(([, item]) => treeOf(item)),
  };
}

export function copyOf(tree: JsonTree): JsonTree {
  if (typeof tree === 'string') return tree;
  if (tree.kind === 'list') return { kind: 'list', items: tree.items.map(copyOf) };
  return { kind: 'entries', keys: [...tree.keys], values: tree.values.map(copyOf) };
}

export function textOf(tree: JsonTree): string {
  if (typeof tree === 'string') return tree;
  if (tree.kind === 'list') return `[${tree.items.map(textOf).join(',')}]`;
  return `{${tree.keys.map((key, i) => `${key}:${textOf(tree.values[i]!)}`).join(',')}}`;
}

/** Every list and object of a tree, outermost first: the places where something can be changed. */
export function branchesOf(tree: JsonTree, into: (JsonList | JsonEntries)[] = []): (JsonList | JsonEntries)[] {
  if (typeof tree === 'string') return into;
  into.push(tree);
  for (const child of childrenOf(tree)) branchesOf(child, into);
  return into;
}

export function childrenOf(branch: JsonList | JsonEntries): JsonTree[] {
  return branch.kind === 'list' ? branch.items : branch.values;
}
