import { type ByteSource, memorySource } from '../files/bytes.js';
import { type Deed, MAX_LISTED, type NamedGlobal, ObservingRuntime } from './observing-runtime.js';
import { MAX_OPCODES, runPickle } from './pickle-machine.js';
import { PickleReader } from './pickle-reader.js';
import { claimOf } from './signatures.js';

/** What one pickle asks for, found without executing any of it. */
export interface PickleSurvey {
  /** Of the pickle, up to its STOP or to where it could not be read any more, in its file or member. */
  readonly start: number;
  readonly end: number;
  /** What PROTO names; 0 stands for the protocols before, which have none. */
  readonly protocol: number;
  readonly globals: readonly NamedGlobal[];
  readonly deeds: readonly Deed[];
  /** Names and deeds beyond those listed. */
  readonly more: number;
  /** How often each opcode occurs that reaches outside the pickle. */
  readonly opcodes: Readonly<Record<string, number>>;
  /** Why it could not be run to its end. */
  readonly problem?: string;
  /** Pickles among its bytes and texts, as `pickle.loads` takes them. */
  readonly nested: readonly PickleSurvey[];
}

export interface SurveyRange {
  readonly start: number;
  readonly end: number;
  /** What is taken off positions: where the member of an archive starts, or 0. */
  readonly origin: number;
}

/** Opcodes that ask for something outside the pickle. */
const REACHING = new Set(
  'GLOBAL STACK_GLOBAL INST OBJ REDUCE NEWOBJ NEWOBJ_EX BUILD PERSID BINPERSID EXT1 EXT2 EXT4 NEXT_BUFFER'.split(' '),
);
/** Pickles within pickles; an attack needs one more than the scanner that it fools. */
const MAX_NESTING = 4;
const MAX_NESTED = 16;

/**
 * What the pickle at `start` asks for. It is read twice: run over stand-ins, which resolves names that it puts together from
 * its stack and memo, and swept opcode by opcode, which goes on where running it must stop. A pickle that breaks off in the
 * middle has done by then what stands before, so that is listed too.
 */
export function surveyPickle(file: ByteSource, range: SurveyRange, nesting = 0): PickleSurvey {
  const runtime = new ObservingRuntime();
  const ran = attempt((fail) => {
    const reader = new PickleReader(file, range, fail);
    runPickle(reader, runtime, fail);
  });
  const swept = sweep(file, range);
  for (const { module, name, opcode, position } of swept.globals) {
    if (runtime.globals.size < MAX_LISTED) runtime.global(module, name, { opcode, position, charge: () => {} });
  }
  const nested =
    nesting === MAX_NESTING ? [] : swept.payloads.map((bytes) => surveyBytes(file.path, bytes, nesting + 1));
  const problem = ran ?? swept.problem;
  return {
    start: range.start - range.origin,
    end: swept.end - range.origin,
    protocol: swept.protocol,
    globals: [...runtime.globals.values()],
    deeds: runtime.deeds,
    more: runtime.more,
    opcodes: Object.fromEntries(swept.opcodes),
    ...(problem !== undefined && { problem }),
    nested,
  };
}

function surveyBytes(path: string, bytes: Uint8Array, nesting: number): PickleSurvey {
  return surveyPickle(memorySource(path, bytes), { start: 0, end: bytes.length, origin: 0 }, nesting);
}

interface Sweep {
  readonly end: number;
  readonly protocol: number;
  readonly opcodes: ReadonlyMap<string, number>;
  readonly globals: readonly Pick<NamedGlobal, 'module' | 'name' | 'opcode' | 'position'>[];
  readonly payloads: readonly Uint8Array[];
  readonly problem: string | undefined;
}

/** Reads opcode after opcode up to the first STOP, without carrying any out. */
function sweep(file: ByteSource, range: SurveyRange): Sweep {
  const opcodes = new Map<string, number>();
  const globals: Sweep['globals'][number][] = [];
  const payloads: Uint8Array[] = [];
  let protocol = 0;
  let end = range.start;
  const problem = attempt((fail) => {
    const reader = new PickleReader(file, range, fail);
    let left = MAX_OPCODES;
    do {
      reader.next();
      left -= 1;
      if (left < 0) fail(`it has more than ${MAX_OPCODES} opcodes`);
      const { name, argument, position } = reader;
      end = reader.offset;
      if (name === 'PROTO' && position === range.start - range.origin) protocol = argument as number;
      if (REACHING.has(name)) opcodes.set(name, (opcodes.get(name) ?? 0) + 1);
      if ((name === 'GLOBAL' || name === 'INST') && globals.length < MAX_LISTED) {
        const [module, attribute] = argument as readonly [string, string];
        globals.push({ module, name: attribute, opcode: name, position });
      }
      const payload = payloadOf(argument);
      if (payload !== undefined && payloads.length < MAX_NESTED) payloads.push(payload);
    } while (reader.name !== 'STOP');
  });
  return { end, protocol, opcodes, globals, payloads, problem };
}

/** An argument that is itself a pickle, by how it starts and ends. */
function payloadOf(argument: unknown): Uint8Array | undefined {
  // Before protocol 3, bytes are written as a text of characters below U+0100.
  const isText = typeof argument === 'string' && argument.endsWith('.') && argument.startsWith('\x80');
  const bytes = isText ? Buffer.from(argument, 'latin1') : argument;
  if (!(bytes instanceof Uint8Array) || bytes.at(-1) !== 0x2e) return undefined;
  return claimOf(bytes) === 'pickle' ? bytes : undefined;
}

class Stop extends Error {}

/** The first problem that `work` fails with; undefined when it comes to its end. */
function attempt(work: (fail: (problem: string) => never) => void): string | undefined {
  let problem: string | undefined;
  try {
    work((found) => {
      problem = found;
      throw new Stop(found);
    });
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
  }
  return problem;
}
