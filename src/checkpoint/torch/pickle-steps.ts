import { addEntries, addItems, BOX_BYTES, CONTAINER_BYTES, pushNew, pushTuple } from './pickle-containers.js';
import type { OpcodeName } from './pickle-opcodes.js';
import type { PickleReader } from './pickle-reader.js';
import type { PicklePlace, PickleRuntime } from './pickle-runtime.js';
import type { PickleStack } from './pickle-stack.js';
import { describeValue, PickleDict, PickleFloat, PickleList, PickleSet, type PickleValue } from './pickle-values.js';

/** What the step of an opcode works on. */
export interface RunningPickle {
  readonly reader: PickleReader;
  readonly runtime: PickleRuntime;
  readonly stack: PickleStack;
  /** Where the opcode is that is being carried out. */
  readonly place: PicklePlace;
  /** Where the pickle starts in the reader's source. */
  readonly start: number;
  /** Throws, naming the opcode and its position. */
  readonly fail: (problem: string) => never;
}

type Step = (pickle: RunningPickle) => void;

/** What each opcode does, but for PROTO, FRAME and STOP, which are about the pickle itself. */
export const STEPS: Readonly<Record<Exclude<OpcodeName, 'PROTO' | 'FRAME' | 'STOP'>, Step>> = {
  NONE: constant(null),
  NEWTRUE: constant(true),
  NEWFALSE: constant(false),
  INT: pushArgument,
  LONG: pushArgument,
  BININT: pushArgument,
  BININT1: pushArgument,
  BININT2: pushArgument,
  LONG1: pushArgument,
  LONG4: pushArgument,
  STRING: pushArgument,
  BINSTRING: pushArgument,
  SHORT_BINSTRING: pushArgument,
  UNICODE: pushArgument,
  BINUNICODE: pushArgument,
  SHORT_BINUNICODE: pushArgument,
  BINUNICODE8: pushArgument,
  BINBYTES: pushArgument,
  SHORT_BINBYTES: pushArgument,
  BINBYTES8: pushArgument,
  BYTEARRAY8: pushArgument,
  FLOAT: pushFloat,
  BINFLOAT: pushFloat,

  MARK: ({ stack }) => stack.mark(),
  POP: ({ stack }) => {
    if (!stack.dropMark()) stack.pop();
  },
  POP_MARK: ({ stack }) => void stack.popToMark(),
  DUP: ({ stack }) => stack.push(stack.top()),
  PUT: remember,
  BINPUT: remember,
  LONG_BINPUT: remember,
  MEMOIZE: ({ stack }) => stack.memoize(),
  GET: recall,
  BINGET: recall,
  LONG_BINGET: recall,

  EMPTY_TUPLE: (pickle) => pushTuple(pickle, []),
  TUPLE1: (pickle) => pushTuple(pickle, popMany(pickle, 1)),
  TUPLE2: (pickle) => pushTuple(pickle, popMany(pickle, 2)),
  TUPLE3: (pickle) => pushTuple(pickle, popMany(pickle, 3)),
  TUPLE: (pickle) => pushTuple(pickle, pickle.stack.popToMark()),
  EMPTY_LIST: (pickle) => pushNew(pickle, new PickleList()),
  EMPTY_DICT: (pickle) => pushNew(pickle, new PickleDict()),
  EMPTY_SET: (pickle) => pushNew(pickle, new PickleSet()),
  LIST: (pickle) => collect(pickle, new PickleList()),
  FROZENSET: (pickle) => collect(pickle, new PickleSet()),
  DICT(pickle: RunningPickle) {
    const items = pickle.stack.popToMark();
    const dict = new PickleDict();
    pushNew(pickle, dict);
    addEntries(pickle, dict, items);
  },
  APPEND(pickle: RunningPickle) {
    const item = pickle.stack.pop();
    addItems(pickle, PickleList, { to: pickle.stack.top(), items: [item] });
  },
  APPENDS(pickle: RunningPickle) {
    const items = pickle.stack.popToMark();
    addItems(pickle, PickleList, { to: pickle.stack.top(), items });
  },
  ADDITEMS(pickle: RunningPickle) {
    const items = pickle.stack.popToMark();
    addItems(pickle, PickleSet, { to: pickle.stack.top(), items });
  },
  SETITEM(pickle: RunningPickle) {
    const items = popMany(pickle, 2);
    addEntries(pickle, pickle.stack.top(), items);
  },
  SETITEMS(pickle: RunningPickle) {
    const items = pickle.stack.popToMark();
    addEntries(pickle, pickle.stack.top(), items);
  },

  GLOBAL({ reader, runtime, stack, place }) {
    const [module, name] = reader.argument as readonly [string, string];
    stack.push(runtime.global(module, name, place));
  },
  STACK_GLOBAL(pickle: RunningPickle) {
    const [module, name] = popMany(pickle, 2);
    if (typeof module !== 'string' || typeof name !== 'string') {
      pickle.fail(`its names are ${describeValue(module)} and ${describeValue(name)}, where texts must be`);
    }
    pickle.stack.push(pickle.runtime.global(module, name, pickle.place));
  },
  REDUCE: callTop,
  NEWOBJ: callTop,
  NEWOBJ_EX(pickle: RunningPickle) {
    const [callee, args, keywords] = popMany(pickle, 3);
    callWith(pickle, callee!, { args: args!, keywords: keywords! });
  },
  INST(pickle: RunningPickle) {
    const [module, name] = pickle.reader.argument as readonly [string, string];
    const args = pickle.stack.popToMark();
    callWith(pickle, pickle.runtime.global(module, name, pickle.place), { args });
  },
  OBJ(pickle: RunningPickle) {
    const [callee, ...args] = pickle.stack.popToMark();
    if (callee === undefined) pickle.fail('it calls nothing');
    callWith(pickle, callee, { args });
  },
  BUILD(pickle: RunningPickle) {
    const [object, state] = popMany(pickle, 2);
    pickle.stack.push(pickle.runtime.build(object!, state!, pickle.place));
  },
  PERSID: ({ reader, runtime, stack, place }) => stack.push(runtime.persistent(reader.argument as string, place)),
  BINPERSID({ runtime, stack, place }) {
    stack.charge(CALL_BYTES);
    stack.push(runtime.persistent(stack.pop(), place));
  },
  EXT1: extension,
  EXT2: extension,
  EXT4: extension,
  NEXT_BUFFER: ({ runtime, stack, place }) => stack.push(runtime.outside('bytes that were sent apart', place)),
  // It only says of what is on the stack that nobody may write to it.
  READONLY_BUFFER: ({ stack }) => void stack.top(),
};

function constant(value: PickleValue): Step {
  return ({ stack }) => stack.push(value);
}

function pushArgument({ reader: { argument }, stack }: RunningPickle): void {
  // UTF-8 takes no less than what JavaScript needs: one byte a character, or two.
  if (typeof argument === 'string') stack.charge(BOX_BYTES + Buffer.byteLength(argument));
  if (argument instanceof Uint8Array) stack.charge(CONTAINER_BYTES + argument.length);
  if (typeof argument === 'bigint') stack.charge(BOX_BYTES);
  stack.push(argument);
}

function pushFloat({ reader, stack }: RunningPickle): void {
  stack.charge(BOX_BYTES);
  stack.push(new PickleFloat(reader.argument as number));
}

function remember({ reader, stack, start }: RunningPickle): void {
  stack.remember(reader.argument, reader.offset - start);
}

function recall({ reader, stack }: RunningPickle): void {
  stack.push(stack.recall(reader.argument));
}

/** The topmost `count` values, in the order in which they were pushed. */
function popMany({ stack }: RunningPickle, count: number): PickleValue[] {
  return Array.from({ length: count }, () => stack.pop()).reverse();
}

/** Puts everything above the last mark into a new list or set. */
function collect(pickle: RunningPickle, container: PickleList | PickleSet): void {
  const items = pickle.stack.popToMark();
  pushNew(pickle, container);
  addItems(pickle, container instanceof PickleList ? PickleList : PickleSet, { to: container, items });
}

function callTop(pickle: RunningPickle): void {
  const [callee, args] = popMany(pickle, 2);
  callWith(pickle, callee!, { args: args! });
}

function callWith(
  pickle: RunningPickle,
  callee: PickleValue,
  { args, keywords }: { readonly args: PickleValue; readonly keywords?: PickleValue },
): void {
  if (!Array.isArray(args)) pickle.fail(`it calls ${describeValue(callee)} with ${describeValue(args)}`);
  pickle.stack.charge(CALL_BYTES);
  pickle.stack.push(pickle.runtime.call(callee, args as readonly PickleValue[], pickle.place, keywords));
}

/** What a call may make: at most a tensor's description. */
const CALL_BYTES = 120;

function extension({ reader, runtime, stack, place }: RunningPickle): void {
  stack.push(runtime.outside(`number ${String(reader.argument)} of the extension registry`, place));
}
