import { allowedGlobal, reasonAgainst } from './allowed-globals.js';
import type { PicklePlace, PickleRuntime } from './pickle-runtime.js';
import { describeValue, Made, PickleDict, PickleSet, type PickleValue } from './pickle-values.js';

/** A Python name that a pickle asks for. */
export interface NamedGlobal {
  readonly module: string;
  readonly name: string;
  /** On the list of what weights need. */
  readonly allowed: boolean;
  /** Why it is not on the list, where that is known. */
  readonly reason?: string;
  /** Where it is asked for first. */
  readonly opcode: string;
  readonly position: number;
}

/** Something that a pickle would do with a name that is not on the list, or to an object of it. */
export interface Deed {
  readonly kind: 'call' | 'set state' | 'ask outside';
  /** What is called, changed or asked for. */
  readonly what: string;
  readonly opcode: string;
  readonly position: number;
}

/** Names and deeds that are listed one by one; a hostile pickle has millions. */
export const MAX_LISTED = 1000;

/** Names can have megabytes, and descriptions of calls of calls grow with each. */
const MAX_WHAT = 200;

class Global extends Made {
  readonly what: string;
  readonly allowed: boolean;
  constructor(what: string, allowed: boolean) {
    super();
    this.what = what.slice(0, MAX_WHAT);
    this.allowed = allowed;
  }
}

class Outcome extends Made {
  readonly what: string;
  constructor(what: string) {
    super();
    this.what = what.slice(0, MAX_WHAT);
  }
}

/** Containers that calls make, so that what is put into them is data again. */
const CONTAINERS: ReadonlyMap<string, () => PickleValue> = new Map<string, () => PickleValue>([
  ['collections.OrderedDict', () => new PickleDict()],
  ['builtins.set', () => new PickleSet()],
]);

/**
 * Lets a pickle run over stand-ins, refusing nothing and executing nothing, and writes down what it asks for: each name, and
 * each call, state or outside thing that is not what weights need.
 */
export class ObservingRuntime implements PickleRuntime {
  readonly globals = new Map<string, NamedGlobal>();
  readonly deeds: Deed[] = [];
  /** How many there were beyond those listed. */
  more = 0;

  global(module: string, name: string, { opcode, position }: PicklePlace): PickleValue {
    const allowed = allowedGlobal(module, name) !== undefined;
    const reason = allowed ? undefined : reasonAgainst(module, name);
    const key = `${module}\n${name}`;
    if (!this.globals.has(key)) {
      if (this.globals.size === MAX_LISTED) this.more += 1;
      else {
        this.globals.set(key, {
          module,
          name,
          allowed,
          ...(reason !== undefined && { reason }),
          opcode,
          position,
        });
      }
    }
    return new Global(`${module}.${name}`, allowed);
  }

  call(callee: PickleValue, _args: readonly PickleValue[], at: PicklePlace): PickleValue {
    if (!(callee instanceof Global && callee.allowed)) this.#note('call', describeValue(callee), at);
    return CONTAINERS.get(describeValue(callee))?.() ?? new Outcome(`a result of ${describeValue(callee)}`);
  }

  build(object: PickleValue, state: PickleValue, at: PicklePlace): PickleValue {
    const isPlain = state instanceof PickleDict && [...state.entries.keys()].every((key) => key === '_metadata');
    if (!(object instanceof PickleDict && isPlain)) this.#note('set state', describeValue(object), at);
    return object;
  }

  extend(): void {}

  persistent(id: PickleValue, at: PicklePlace): PickleValue {
    const [kind] = Array.isArray(id) ? (id as readonly PickleValue[]) : [];
    if (kind !== 'storage') this.#note('ask outside', 'a persistent id that is no storage', at);
    return new Outcome('a storage');
  }

  outside(what: string, at: PicklePlace): PickleValue {
    this.#note('ask outside', what, at);
    return new Outcome(what);
  }

  #note(kind: Deed['kind'], what: string, { opcode, position }: PicklePlace): void {
    if (this.deeds.length === MAX_LISTED) this.more += 1;
    else this.deeds.push({ kind, what, opcode, position });
  }
}
