import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonReader } from '../../src/checkpoint/files/json-reader.js';

const WINDOW_BYTES = 256 * 1024;

/** A reader of a text, some bytes into a file, and a list of the parts of the file that were asked for. */
function readerOf(text: string, maxTextBytes = 2 ** 30): { json: JsonReader; reads: number[] } {
  const offset = 5;
  const file = Buffer.concat([Buffer.alloc(offset, '!'), Buffer.from(text), Buffer.alloc(5, '!')]);
  const reads: number[] = [];
  const source = {
    readSync(start: number, bytes: Uint8Array) {
      reads.push(bytes.length);
      bytes.set(file.subarray(start, start + bytes.length));
    },
  };
  const fail = (problem: string): never => {
    throw new SyntaxError(problem);
  };
  return { json: new JsonReader(source, { start: offset, end: file.length - 5, maxTextBytes }, fail), reads };
}

function stringsOf(text: string): [string, string][] {
  const { json } = readerOf(text);
  const entries: [string, string][] = [];
  json.object('it', (key) => entries.push([key, json.string('it')]));
  json.end('it', 'white space');
  return entries;
}

const accepts = (text: string) => {
  const { json } = readerOf(text);
  try {
    json.skip('it');
    json.end('it', 'white space');
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
};

describe('JsonReader', () => {
  it('reads the strings that JSON.parse reads, escaped or not', () => {
    const wellFormed = fc.string({ unit: 'binary', maxLength: 20 });
    const escaped = (text: string) => `"${escapeUnits(text)}"`;
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(wellFormed, wellFormed), { selector: ([key]) => key }), (entries) => {
        for (const write of [JSON.stringify, escaped]) {
          const text = `{${entries.map(([key, value]) => `${write(key)}:${write(value)}`).join(',')}}`;
          expect(stringsOf(text)).toEqual(entries);
        }
      }),
    );
  });

  it('accepts what JSON.parse accepts of any value, and of texts near JSON', () => {
    const nearJson = fc
      .array(
        fc.constantFrom(...'{}[],:"'.split(''), 'true', 'nul', 'null', '-', '0', '12', '.5', 'e3', '"a"', '\\', ' '),
        { maxLength: 8 },
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(fc.json(), nearJson), (text) => {
        let parsed: unknown;
        let isJson = true;
        try {
          parsed = JSON.parse(text);
        } catch {
          isJson = false;
        }
        // Keys that appear twice are the one thing of these that only JSON.parse accepts.
        const hasAllKeys = isJson && JSON.stringify(parsed).length === text.replace(/\s/g, '').length;
        if (!isJson || hasAllKeys) expect(accepts(text)).toBe(isJson);
      }),
      { numRuns: 2000 },
    );
  });

  it('reads strings across windows: long ones, and characters and escapes cut by a window', () => {
    for (const unit of ['x', '骨', '🦴', '\\"', '\\u9aa8']) {
      for (let shift = 0; shift < 8; shift += 1) {
        const padding = ' '.repeat(WINDOW_BYTES - 6 - shift);
        const long = unit.repeat(Math.ceil((3 * WINDOW_BYTES) / unit.length));
        const [[key, value], [nextKey, nextValue]] = stringsOf(`{${padding}"k":"${long}","${unit}":"${unit}"}`) as [
          [string, string],
          [string, string],
        ];
        const character = JSON.parse(`"${unit}"`) as string;
        expect(key).toBe('k');
        expect(value === character.repeat(value.length / character.length)).toBe(true);
        expect(value.length / character.length).toBe(long.length / unit.length);
        expect([nextKey, nextValue]).toEqual([character, character]);
      }
    }
  });

  it('holds a window of a text and no more', () => {
    const { json, reads } = readerOf(`[${'1,'.repeat(WINDOW_BYTES)}1]`);
    let sum = 0;
    json.array('it', () => {
      sum += json.integer('it');
    });
    expect(sum).toBe(WINDOW_BYTES + 1);
    expect(reads.length).toBeGreaterThan(1);
    expect(Math.max(...reads)).toBeLessThanOrEqual(WINDOW_BYTES);
  });

  it.each([
    ['0', 0],
    ['7', 7],
    ['123456789012345', 123456789012345],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    [' \t\r\n12 ', 12],
  ])('reads the number %j', (text, value) => {
    expect(readerOf(text).json.integer('it')).toBe(value);
  });

  it('counts the bytes of all strings against one limit', () => {
    const { json } = readerOf('["abc","de","f"]', 5);
    const read = () => json.array('it', () => json.string('it'));
    expect(read).toThrow('it has more text than the 0 bytes that are left for it');
  });

  it('says where it found what', () => {
    const { json } = readerOf('{"a" 1}');
    expect(() => json.object('the header', () => {})).toThrow('the header has "1" at byte 10, where ":" must come');
  });
});

/** Every UTF-16 unit as an escape. */
function escapeUnits(text: string): string {
  const units = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i).toString(16).padStart(4, '0'));
  return units.map((unit) => `\\u${unit}`).join('');
}
