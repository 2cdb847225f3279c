import { DTYPES } from '../../tensor/index.js';
import { quoted } from '../files/quote.js';
import { allowedGlobal, reasonAgainst } from './allowed-globals.js';
import type { PicklePlace, PickleRuntime } from './pickle-runtime.js';
import { describeValue, type Made, PickleDict, type PickleValue } from './pickle-values.js';
import { AllowedGlobal, type CallSite, type Complaints, Storage, StorageType } from './torch-values.js';

/** Python identifiers with dots between them, as an honest name looks. */
const PLAIN_NAME = /^[\w.<>]{1,120}$/;

/**
 * Gives the pickle of a checkpoint what weights need, and refuses by name whatever is not on the list (`allowedGlobal`).
 * What it gives is data: dicts, and descriptions of storages and tensors. It collects the storages.
 */
export class WeightsRuntime implements PickleRuntime {
  /** Storages by the key under which the pickle mentions them. */
  readonly storages = new Map<string, Storage>();
  /** One for all calls, about the place that was last asked from: a checkpoint has hundreds of thousands of calls. */
  readonly #site: CallSite;
  #place: PicklePlace | undefined;

  constructor({ fail, refuse }: Complaints) {
    this.#site = {
      fail: (problem) => fail(this.#here(problem)),
      refuse: (problem) => refuse(this.#here(problem)),
      charge: (bytes) => this.#place?.charge(bytes),
    };
  }

  global(module: string, name: string, at: PicklePlace): PickleValue {
    const found = allowedGlobal(module, name);
    if (found !== undefined) return found;
    const full = `${module}.${name}`;
    const shown = PLAIN_NAME.test(full) ? full : quoted(full);
    const reason = reasonAgainst(module, name) ?? 'and that is not among the names that weights need';
    return this.#at(at).refuse(`it names ${shown}, ${reason}`);
  }

  call(callee: PickleValue, args: readonly PickleValue[], at: PicklePlace, keywords?: PickleValue): PickleValue {
    const complain = this.#at(at);
    if (!(callee instanceof AllowedGlobal)) {
      return complain.fail(`it calls ${describeValue(callee)}, which is nothing to call`);
    }
    const hasKeywords = keywords !== undefined && !(keywords instanceof PickleDict && keywords.size === 0);
    if (hasKeywords) return complain.fail(`it calls ${callee.what} with arguments by name`);
    return callee.call(args, complain);
  }

  /** A state_dict carries `_metadata`, the versions of its modules. Any other attribute could take a method's place. */
  build(object: PickleValue, state: PickleValue, at: PicklePlace): PickleValue {
    const complain = this.#at(at);
    if (!(object instanceof PickleDict)) return complain.refuse(`it sets the state of ${describeValue(object)}`);
    if (!(state instanceof PickleDict)) return complain.fail(`it gives a dict ${describeValue(state)} for attributes`);
    for (const attribute of state.entries.keys()) {
      if (attribute === '_metadata') continue;
      const shown = typeof attribute === 'string' ? quoted(attribute) : describeValue(attribute);
      return complain.refuse(`it gives a dict the attribute ${shown}; only "_metadata" is allowed`);
    }
    return object;
  }

  extend(object: Made, at: PicklePlace): void {
    this.#at(at).fail(`it adds items to ${object.what}`);
  }

  persistent(id: PickleValue, at: PicklePlace): PickleValue {
    const complain = this.#at(at);
    const [kind, type, key, location, elements, view] = Array.isArray(id) ? (id as readonly PickleValue[]) : [];
    if (kind !== 'storage') return complain.refuse(`it asks for ${persistentKind(id, kind)}; only storages are read`);
    if (!(type instanceof StorageType)) return complain.fail(`its storage is one of ${describeValue(type)}`);
    if (typeof key !== 'string' || typeof location !== 'string') return complain.fail('its storage has no key');
    const root = new Storage(key, type, { byteStart: 0, byteLength: byteLengthOf(type, elements, complain) });
    const known = this.storages.get(key) ?? root;
    if (known.byteLength !== root.byteLength) {
      return complain.fail(`storage ${quoted(key)} has ${root.byteLength} bytes here and ${known.byteLength} before`);
    }
    this.storages.set(key, known);
    const isWhole = view === undefined || view === null;
    return isWhole && known.type.what === type.what ? known : viewOf(root, view ?? null, complain);
  }

  outside(what: string, at: PicklePlace): PickleValue {
    return this.#at(at).refuse(`it asks for ${what}, which is not in the file`);
  }

  #at(place: PicklePlace): CallSite {
    this.#place = place;
    return this.#site;
  }

  #here(problem: string): string {
    return `${this.#place?.opcode} at byte ${this.#place?.position}: ${problem}`;
  }
}

/** How many bytes so many elements of a storage take; those of an untyped one are bytes. */
function byteLengthOf(type: StorageType, elements: PickleValue | undefined, { fail }: Complaints): number {
  const bytes = Number.isSafeInteger(elements) ? (elements as number) * elementBytesOf(type) : -1;
  if (bytes >= 0 && Number.isSafeInteger(bytes)) return bytes;
  return fail(`its storage has ${typeof elements === 'number' ? elements : describeValue(elements)} elements`);
}

/** The bytes of one element; an untyped storage counts bytes. */
export function elementBytesOf({ dtype }: StorageType): number {
  return dtype === undefined ? 1 : DTYPES[dtype].bits / 8;
}

/** Part of a storage, as files before torch 1.0 have it: `(key of its own, first element, elements)`; null is the whole. */
function viewOf(root: Storage, view: PickleValue, complain: Complaints): Storage {
  if (view === null) return root;
  const [key, first, elements] = Array.isArray(view) ? (view as readonly PickleValue[]) : [];
  if (typeof key !== 'string') return complain.fail(`its storage's view is ${describeValue(view)}`);
  const byteStart = byteLengthOf(root.type, first, complain);
  const byteLength = byteLengthOf(root.type, elements, complain);
  if (byteStart + byteLength > root.byteLength) {
    complain.fail(`its view ends at byte ${byteStart + byteLength} of a storage that has ${root.byteLength}`);
  }
  return new Storage(root.key, root.type, { byteStart, byteLength });
}

function persistentKind(id: PickleValue, kind: PickleValue | undefined): string {
  if (typeof id === 'string') return `the persistent id ${quoted(id)}`;
  return typeof kind === 'string' ? `a persistent ${quoted(kind)}` : `a persistent ${describeValue(kind)}`;
}
