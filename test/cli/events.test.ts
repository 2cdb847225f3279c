import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventLines } from '../../src/cli/events.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'birdbone-events-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('--events FILE', () => {
  it('has every event on disk, one JSON line each, before the next one', async () => {
    const file = path.join(folder, 'events.jsonl');
    const sink = eventLines(file);
    sink.report({ type: 'notice', message: 'one\ntwo' });
    expect(await readFile(file, 'utf8')).toBe('{"type":"notice","message":"one\\ntwo"}\n');
    sink.report({ type: 'published', path: 'out' });
    sink.close();
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).type)).toEqual(['notice', 'published']);
  });

  it('refuses a file that cannot be written, as a usage error that names it', () => {
    const file = path.join(folder, 'missing', 'events.jsonl');
    expect(() => eventLines(file)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(file) }),
    );
  });
});
