import { quoted } from '../files/quote.js';
import { describeValue, PickleDict, PickleFloat, PickleList, type PickleValue } from './pickle-values.js';
import { TensorView } from './torch-values.js';

/** What a checkpoint's value holds, each thing under its path. */
export interface NamedValues {
  readonly tensors: ReadonlyMap<string, TensorView>;
  /** Numbers, texts and truth values beside the tensors, as text. */
  readonly scalars: ReadonlyMap<string, string>;
  /** How many scalars were too long, or too many, to be kept. */
  readonly scalarsLeft: number;
}

/** Dicts within dicts. A value that contains itself goes beyond any depth. */
const MAX_DEPTH = 64;
/** Values that are looked at: shared ones count each time, so that few bytes cannot stand for many names. */
const MAX_VISITS = 500_000;
/** Names and keys together, in characters. */
const MAX_NAME_CHARACTERS = 16 * 1024 * 1024;
const MAX_SCALARS = 256;
const MAX_SCALAR_CHARACTERS = 1024;

/** Under these keys training scripts put the model's state_dict, beside its epoch and its score. */
const WRAPPERS = new Set(['state_dict', 'model_state_dict', 'model', 'module', 'net', 'weights']);

interface Visit {
  readonly value: PickleValue;
  /** Undefined below a key that cannot be part of a name. */
  readonly path: string | undefined;
  readonly depth: number;
}

/**
 * The tensors of a loaded value by name: the keys of the dicts and lists that lead to it, with dots between them. Where one
 * key alone leads to all tensors and is a usual wrapper ("state_dict", "model" …), it is left out of their names; where an
 * optimizer's tensors are there too, all keep their whole path. Two tensors of one name are refused. `fail` throws.
 */
export function nameValues(root: PickleValue, fail: (problem: string, tensor?: string) => never): NamedValues {
  const survey = new Survey(fail);
  const wrapper = onlyHolder(root, survey);
  survey.start(root, wrapper);
  if (survey.tensors.size === 0) fail(`it holds ${describeValue(root)} without a tensor in it`);
  return survey;
}

class Survey implements NamedValues {
  readonly tensors = new Map<string, TensorView>();
  readonly scalars = new Map<string, string>();
  scalarsLeft = 0;
  readonly #fail: (problem: string, tensor?: string) => never;
  #visitsLeft = MAX_VISITS;
  #charactersLeft = MAX_NAME_CHARACTERS;

  constructor(fail: (problem: string, tensor?: string) => never) {
    this.#fail = fail;
  }

  /** Takes up everything below `root`; what is below the key `wrapper` loses that part of its path. */
  start(root: PickleValue, wrapper: string | undefined): void {
    if (root instanceof TensorView) {
      this.#addTensor('tensor', root);
      return;
    }
    const visits = this.#children({ value: root, path: '', depth: 0 });
    const isWrapper = ({ path }: Visit) => path !== undefined && path === wrapper;
    const unwrapped = visits.map((visit) => (isWrapper(visit) ? { ...visit, path: '' } : visit));
    this.#walk(unwrapped, (visit) => this.#take(visit));
  }

  /** Whether a tensor is anywhere below a value. */
  holdsTensor(value: PickleValue): boolean {
    let holds = false;
    this.#walk([{ value, path: '', depth: 1 }], ({ value: found }) => {
      holds ||= found instanceof TensorView;
      return !holds;
    });
    return holds;
  }

  /** Visits in the order of the file, going below a value when `visit` says so. */
  #walk(visits: readonly Visit[], visit: (visit: Visit) => boolean): void {
    const left = visits.slice().reverse();
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      this.#visitsLeft -= 1;
      if (this.#visitsLeft < 0) this.#fail(`it holds more than ${MAX_VISITS} values, or the same ones over and over`);
      if (next.depth > MAX_DEPTH) this.#fail(`it is nested more than ${MAX_DEPTH} levels deep, or in itself`);
      if (!visit(next)) continue;
      const children = this.#children(next);
      for (let i = children.length - 1; i >= 0; i -= 1) left.push(children[i]!);
    }
  }

  #children({ value, path, depth }: Visit): Visit[] {
    const children: Visit[] = [];
    const add = (key: PickleValue, child: PickleValue): void => {
      const text = path === undefined ? undefined : keyText(key);
      const name = path === undefined || text === undefined ? undefined : joined(path, text);
      children.push({ value: child, path: name, depth: depth + 1 });
    };
    if (value instanceof PickleDict) for (const [key, child] of value.entries) add(key, child);
    const items = value instanceof PickleList ? value.items : Array.isArray(value) ? value : [];
    for (const [i, child] of items.entries()) add(i, child as PickleValue);
    return children;
  }

  #take({ value, path }: Visit): boolean {
    if (value instanceof TensorView) {
      if (path === undefined) return this.#fail('a tensor lies under a key that is neither a text nor a number');
      this.#addTensor(path, value);
      return false;
    }
    const text = scalarText(value);
    if (text !== undefined && path !== undefined) this.#addScalar(path, text);
    return text === undefined;
  }

  #addTensor(name: string, view: TensorView): void {
    if (this.tensors.has(name)) this.#fail(`it has two tensors ${quoted(name)}`, name);
    this.#charactersLeft -= name.length;
    if (this.#charactersLeft < 0) this.#fail(`its tensors' names have more than ${MAX_NAME_CHARACTERS} characters`);
    this.tensors.set(name, view);
  }

  #addScalar(path: string, text: string): void {
    const fits = this.scalars.size < MAX_SCALARS && path.length + text.length <= MAX_SCALAR_CHARACTERS;
    if (fits && !this.scalars.has(path)) this.scalars.set(path, text);
    else this.scalarsLeft += 1;
  }
}

/** The one key of the root below which all tensors are, if it is a usual wrapper. */
function onlyHolder(root: PickleValue, survey: Survey): string | undefined {
  if (!(root instanceof PickleDict)) return undefined;
  const wrappers = [...root.entries.keys()].filter((key) => typeof key === 'string' && WRAPPERS.has(key));
  const [wrapper] = wrappers;
  const value = wrapper === undefined ? undefined : root.entries.get(wrapper);
  if (wrappers.length !== 1 || !(value instanceof PickleDict)) return undefined;
  for (const [key, other] of root.entries) if (key !== wrapper && survey.holdsTensor(other)) return undefined;
  return wrapper as string;
}

function keyText(key: PickleValue): string | undefined {
  const isPart = (typeof key === 'string' && key !== '') || typeof key === 'number' || typeof key === 'bigint';
  return isPart ? String(key) : undefined;
}

function joined(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function scalarText(value: PickleValue): string | undefined {
  if (value instanceof PickleFloat) return String(value.value);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  const isScalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint';
  return isScalar ? String(value) : undefined;
}
