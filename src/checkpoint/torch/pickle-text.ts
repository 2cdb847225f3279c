/** How pickles write text and numbers. Each function returns undefined for what Python's own pickler never writes. */

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 as text; lone surrogates, which Python would let pass, are not UTF-8. */
export function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    // It has nothing more to say.
    return undefined;
  }
}

/** A little-endian integer in two's complement: a number where that is exact, else a bigint. No bytes are 0. */
export function integerOfBytes(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i -= 1) value = (value << 8n) | BigInt(bytes[i]!);
  return simplest(BigInt.asIntN(bytes.length * 8, value));
}

/** Decimal digits, as INT and LONG have them; a LONG ends in L, and INT's 00 and 01 are False and True. */
export function integerOfLine(line: Uint8Array): number | bigint | boolean | undefined {
  if (line.length > MAX_DIGITS) return undefined;
  const text = Buffer.from(line).toString('latin1');
  if (text === '00' || text === '01') return text === '01';
  return /^(?:0|-?[1-9][0-9]*)L?$/.test(text) ? simplest(BigInt(text.replace('L', ''))) : undefined;
}

/** LONG1's 255 bytes have 614 digits. */
const MAX_DIGITS = 616;

export function floatOfLine(line: Uint8Array): number | undefined {
  const text = Buffer.from(line).toString('latin1');
  if (/^-?[0-9]{1,400}(?:\.[0-9]{0,400})?(?:e[-+]?[0-9]{1,5})?$/.test(text)) return Number(text);
  return SPECIAL.get(text);
}

const SPECIAL = new Map([
  ['inf', Infinity],
  ['-inf', -Infinity],
  ['nan', NaN],
]);

const BACKSLASH = 0x5c;
const SIMPLE_ESCAPES = new Map([...'abfnrtv\\\'"'].map((letter, i) => [letter, '\x07\b\f\n\r\t\v\\\'"'[i]!]));

/** The bytes of a Python literal in quotes, such as `'caf\xc3\xa9\n'`. */
export function bytesOfLiteral(line: Uint8Array): Uint8Array | undefined {
  const quote = line[0];
  if (line.length < 2 || (quote !== 0x22 && quote !== 0x27) || line.at(-1) !== quote) return undefined;
  const bytes: number[] = [];
  for (let i = 1; i < line.length - 1; ) {
    const byte = line[i]!;
    if (byte === quote) return undefined;
    if (byte !== BACKSLASH) {
      bytes.push(byte);
      i += 1;
      continue;
    }
    const sequence = Buffer.from(line.subarray(i + 1, Math.min(i + 4, line.length - 1))).toString('latin1');
    const simple = SIMPLE_ESCAPES.get(sequence[0] ?? '');
    const hex = /^x[0-9a-fA-F]{2}/.test(sequence);
    if (simple === undefined && !hex) return undefined;
    bytes.push(simple === undefined ? Number.parseInt(sequence.slice(1), 16) : simple.charCodeAt(0));
    i += simple === undefined ? 4 : 2;
  }
  return Uint8Array.from(bytes);
}

/** Text in Python's raw-unicode-escape: Latin-1, in which only `\uXXXX` and `\UXXXXXXXX` are escapes. */
export function textOfRawEscapes(line: Uint8Array): string | undefined {
  let isSound = true;
  const text = Buffer.from(line)
    .toString('latin1')
    .replace(/\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|[uU])/g, (_, short?: string, long?: string) => {
      const code = Number.parseInt(short ?? long ?? 'x', 16);
      if (code <= 0x10ffff) return String.fromCodePoint(code);
      isSound = false;
      return '';
    });
  return isSound && !/\p{Surrogate}/u.test(text) ? text : undefined;
}

function simplest(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
