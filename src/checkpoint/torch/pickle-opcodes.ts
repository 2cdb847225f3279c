/**
 * How the argument of an opcode is laid out. `u` and `i` are little-endian integers of so many bytes, `f8` is a big-endian
 * double. `text`, `string`, `bytes` and `long` are counted by an integer of so many bytes; a `string` is Python 2's.
 */
export type ArgumentLayout =
  | 'none'
  | 'line'
  | 'two lines'
  | 'u1'
  | 'u2'
  | 'u4'
  | 'i4'
  | 'u8'
  | 'f8'
  | 'text1'
  | 'text4'
  | 'text8'
  | 'string1'
  | 'string4'
  | 'bytes1'
  | 'bytes4'
  | 'bytes8'
  | 'long1'
  | 'long4';

export interface Opcode {
  readonly name: string;
  readonly argument: ArgumentLayout;
}

/** Byte, name as pickletools.py has it, argument: all opcodes of the protocols 0 to 5. */
const ROWS = [
  // Protocol 0, as text
  ['(', 'MARK', 'none'],
  ['.', 'STOP', 'none'],
  ['0', 'POP', 'none'],
  ['2', 'DUP', 'none'],
  ['F', 'FLOAT', 'line'],
  ['I', 'INT', 'line'],
  ['L', 'LONG', 'line'],
  ['N', 'NONE', 'none'],
  ['P', 'PERSID', 'line'],
  ['R', 'REDUCE', 'none'],
  ['S', 'STRING', 'line'],
  ['V', 'UNICODE', 'line'],
  ['a', 'APPEND', 'none'],
  ['b', 'BUILD', 'none'],
  ['c', 'GLOBAL', 'two lines'],
  ['d', 'DICT', 'none'],
  ['g', 'GET', 'line'],
  ['i', 'INST', 'two lines'],
  ['l', 'LIST', 'none'],
  ['p', 'PUT', 'line'],
  ['s', 'SETITEM', 'none'],
  ['t', 'TUPLE', 'none'],
  // Protocol 1, binary
  [')', 'EMPTY_TUPLE', 'none'],
  ['1', 'POP_MARK', 'none'],
  ['B', 'BINBYTES', 'bytes4'],
  ['C', 'SHORT_BINBYTES', 'bytes1'],
  ['G', 'BINFLOAT', 'f8'],
  ['J', 'BININT', 'i4'],
  ['K', 'BININT1', 'u1'],
  ['M', 'BININT2', 'u2'],
  ['Q', 'BINPERSID', 'none'],
  ['T', 'BINSTRING', 'string4'],
  ['U', 'SHORT_BINSTRING', 'string1'],
  ['X', 'BINUNICODE', 'text4'],
  [']', 'EMPTY_LIST', 'none'],
  ['e', 'APPENDS', 'none'],
  ['h', 'BINGET', 'u1'],
  ['j', 'LONG_BINGET', 'u4'],
  ['o', 'OBJ', 'none'],
  ['q', 'BINPUT', 'u1'],
  ['r', 'LONG_BINPUT', 'u4'],
  ['u', 'SETITEMS', 'none'],
  ['}', 'EMPTY_DICT', 'none'],
  // Protocol 2
  ['\x80', 'PROTO', 'u1'],
  ['\x81', 'NEWOBJ', 'none'],
  ['\x82', 'EXT1', 'u1'],
  ['\x83', 'EXT2', 'u2'],
  ['\x84', 'EXT4', 'i4'],
  ['\x85', 'TUPLE1', 'none'],
  ['\x86', 'TUPLE2', 'none'],
  ['\x87', 'TUPLE3', 'none'],
  ['\x88', 'NEWTRUE', 'none'],
  ['\x89', 'NEWFALSE', 'none'],
  ['\x8a', 'LONG1', 'long1'],
  ['\x8b', 'LONG4', 'long4'],
  // Protocols 4 and 5
  ['\x8c', 'SHORT_BINUNICODE', 'text1'],
  ['\x8d', 'BINUNICODE8', 'text8'],
  ['\x8e', 'BINBYTES8', 'bytes8'],
  ['\x8f', 'EMPTY_SET', 'none'],
  ['\x90', 'ADDITEMS', 'none'],
  ['\x91', 'FROZENSET', 'none'],
  ['\x92', 'NEWOBJ_EX', 'none'],
  ['\x93', 'STACK_GLOBAL', 'none'],
  ['\x94', 'MEMOIZE', 'none'],
  ['\x95', 'FRAME', 'u8'],
  ['\x96', 'BYTEARRAY8', 'bytes8'],
  ['\x97', 'NEXT_BUFFER', 'none'],
  ['\x98', 'READONLY_BUFFER', 'none'],
] as const satisfies readonly (readonly [string, string, ArgumentLayout])[];

export type OpcodeName = (typeof ROWS)[number][1];

/** By byte. Source: CPython's Lib/pickletools.py, which documents each. */
export const OPCODES: readonly ((Opcode & { readonly name: OpcodeName }) | undefined)[] = Array.from(
  { length: 256 },
  (_, byte) => {
    const row = ROWS.find(([character]) => character.charCodeAt(0) === byte);
    return row === undefined ? undefined : { name: row[1], argument: row[2] };
  },
);

/** The newest protocol there is; PROTO may name no higher one. */
export const NEWEST_PROTOCOL = 5;
