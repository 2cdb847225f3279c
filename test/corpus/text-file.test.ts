import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { truncateSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_TEXT_BYTES, readTextFile } from '../../src/corpus/text-file.js';
import { temporaryFile } from './files.js';

describe('readTextFile', () => {
  it('returns plain text as it is, with the digest and name of the file', async () => {
    const text = 'One.\r\n\r\nTwö.\n';
    const file = temporaryFile('a.txt', text);
    expect(await readTextFile(file)).toEqual({
      kind: 'text',
      text,
      source: { name: 'a.txt', sha256: createHash('sha256').update(text).digest('hex') },
    });
  });

  it('leaves out a byte-order mark, and nothing else', async () => {
    expect(await readTextFile(temporaryFile('a.txt', '\uFEFFa\uFEFFb'))).toMatchObject({ text: 'a\uFEFFb' });
  });

  it.each(['a.jsonl', 'a.ndjson', 'A.JSONL'])('reads the text fields of %s, blank lines left out', async (name) => {
    const lines = '{"text":"one\\ntwo","id":1}\r\n\n{"text":""}\n{"text":"thr\u2028ee"}';
    const read = await readTextFile(temporaryFile(name, lines));
    expect(read).toMatchObject({ kind: 'jsonl', documents: ['one\ntwo', '', 'thr\u2028ee'] });
  });

  const faults: [string, string, string | Uint8Array, RegExp][] = [
    ['a line that is not JSON', 'a.jsonl', '{"text":"a"}\n\n{"text":\n', /a\.jsonl: line 3 is not JSON/],
    ['a line without the field', 'a.jsonl', '{"text":"a"}\n{"content":"b"}', /line 2 has no field "text"/],
    ['a field that is no string', 'a.jsonl', '{"text":7}', /line 1 has no field "text"/],
    ['a line that is no object', 'a.jsonl', '{"text":"a"}\n"b"\nnull', /line 2 has no field "text"/],
    ['a null line', 'a.jsonl', 'null', /line 1 has no field "text"/],
    [
      'a byte that is not UTF-8',
      'a.txt',
      Buffer.from([0x61, 0x0a, 0xc3, 0xa9, 0x0a, 0x62, 0xff]),
      /line 3 is not UTF-8/,
    ],
    ['a cut sequence at the end', 'a.txt', Buffer.from([0x61, 0x0a, 0xe2, 0x82]), /line 2 is not UTF-8/],
    ['a surrogate in UTF-8', 'a.jsonl', Buffer.from([0xed, 0xa0, 0x80]), /line 1 is not UTF-8/],
  ];
  it.each(faults)('refuses %s', async (_, name, content, message) => {
    const file = temporaryFile(name, content);
    await expect(readTextFile(file)).rejects.toMatchObject({
      name: 'BirdboneError',
      code: 'unreadable',
      file,
      message: expect.stringMatching(message),
    });
  });

  it('refuses a file that is too large, without reading it', async () => {
    const file = temporaryFile('large.txt', '');
    truncateSync(file, 2 ** 40);
    await expect(readTextFile(file)).rejects.toMatchObject({
      code: 'unreadable',
      message: `Cannot read ${file}: it has 1099511627776 bytes; a text has at most ${MAX_TEXT_BYTES}.`,
    });
  });

  it('refuses what is not there and what is no regular file', async () => {
    const folder = path.dirname(temporaryFile('a.txt', ''));
    await expect(readTextFile(path.join(folder, 'b.txt'))).rejects.toMatchObject({ message: /there is no such file/ });
    await expect(readTextFile(folder)).rejects.toMatchObject({ message: /not a regular file/ });
  });

  it.skipIf(process.platform === 'win32')('does not wait for a pipe', async () => {
    const pipe = path.join(path.dirname(temporaryFile('a.txt', '')), 'pipe.txt');
    execFileSync('mkfifo', [pipe]);
    await expect(readTextFile(pipe)).rejects.toMatchObject({ code: 'unreadable', message: /not a regular file/ });
  });
});
