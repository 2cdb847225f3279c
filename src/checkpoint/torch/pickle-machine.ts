import { NEWEST_PROTOCOL, OPCODES } from './pickle-opcodes.js';
import type { PickleReader } from './pickle-reader.js';
import type { PickleRuntime } from './pickle-runtime.js';
import { PickleStack } from './pickle-stack.js';
import { type RunningPickle, STEPS } from './pickle-steps.js';
import type { PickleValue } from './pickle-values.js';

/** 100 000 tensors take 3.8 million; a hostile file could go on for as long as it is. */
export const MAX_OPCODES = 5_000_000;

/**
 * The value of the pickle that the reader is at, which is left after its STOP.
 *
 * Opcodes move plain data between a stack, a memo and containers; whatever would reach outside is asked of `runtime`, so that
 * the file itself can do nothing. No opcode calls back into the machine, however deep the data is nested. Memory is bounded by
 * what `PickleStack` allows, time by `MAX_OPCODES`.
 *
 * Stricter than Python where leniency hides something: keys that appear twice, values left on the stack, PROTO or FRAME out
 * of place, and memo numbers beyond the pickle's length go to `fail`, which throws. Source: CPython's Lib/pickle.py.
 */
export function runPickle(
  reader: PickleReader,
  runtime: PickleRuntime,
  failPickle: (problem: string) => never,
): PickleValue {
  const start = reader.offset;
  const fail = (problem: string): never => failPickle(`${reader.name} at byte ${reader.position}: ${problem}`);
  const stack = new PickleStack(() => reader.offset - start, fail);
  const charge = (bytes: number): void => stack.charge(bytes);
  const pickle: RunningPickle = {
    reader,
    runtime,
    stack,
    fail,
    start,
    get place() {
      return { opcode: reader.name, position: reader.position, charge };
    },
  };
  let frameEnd = start;
  for (let opcodes = 1; ; opcodes += 1) {
    if (opcodes > MAX_OPCODES) fail(`it has more than ${MAX_OPCODES} opcodes`);
    const opcodeStart = reader.offset;
    reader.next();
    if (opcodeStart < frameEnd && reader.offset > frameEnd) fail('it reaches out of its frame');
    const { name } = reader;
    if (name === 'STOP') break;
    if (name === 'PROTO') {
      checkProtocol(reader, opcodeStart === start, fail);
    } else if (name === 'FRAME') {
      if (opcodeStart < frameEnd) fail('a frame begins within another');
      frameEnd = frameEndOf(reader, fail);
    } else {
      BY_CODE[reader.code]!(pickle);
    }
  }
  if (reader.offset < frameEnd) fail(`its frame ends ${frameEnd - reader.offset} bytes later`);
  const value = stack.pop();
  if (stack.height > 0 || stack.hasMark) fail('it leaves values on its stack');
  return value;
}

/** The steps by their opcode's byte, which is found faster than a name. */
const BY_CODE = OPCODES.map((opcode) => {
  const isStep = opcode !== undefined && opcode.name !== 'PROTO' && opcode.name !== 'FRAME' && opcode.name !== 'STOP';
  return isStep ? STEPS[opcode.name] : undefined;
});

function checkProtocol(reader: PickleReader, isFirst: boolean, fail: (problem: string) => never): void {
  const protocol = reader.argument as number;
  if (!isFirst) fail('it comes after the first opcode');
  if (protocol > NEWEST_PROTOCOL) fail(`it names the protocol ${protocol}; the newest is ${NEWEST_PROTOCOL}`);
}

function frameEndOf(reader: PickleReader, fail: (problem: string) => never): number {
  const length = reader.argument as number;
  if (length > reader.bytesLeft) fail(`it declares ${length} bytes, and ${reader.bytesLeft} follow`);
  return reader.offset + length;
}
