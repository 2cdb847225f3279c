import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_CLUSTER_FILE_BYTES } from '../../src/grouping/read-clusters.js';
import { bundled } from '../fixtures/bundled.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';

const MEASURE = bundled(new URL('../fixtures/read-clusters-and-measure.ts', import.meta.url));
/** The bar is a second on an idle core; a test has to hold on a busy one too. */
const MAX_MILLISECONDS = 10_000;

const START = '{"clusters":1,"model":"m","neurons":"ffn","by":"both","method":"kmeans","populations":[';

/** A file as large as any that is read, with this beginning and end, and `part` over and over between. */
function fullFile(start: string, part: string, end: string): string {
  const file = path.join(temporaryFolder(), 'clusters.json');
  const times = Math.floor((MAX_CLUSTER_FILE_BYTES - start.length - end.length) / part.length);
  writeFileSync(file, `${start}${part.repeat(times)}${end}`);
  return file;
}

function measure(file: string) {
  const printed = execFileSync(process.execPath, [MEASURE, file], { encoding: 'utf8' });
  return JSON.parse(printed) as { neurons?: number; code?: string; milliseconds: number; extraMegabytes: number };
}

describe('a cluster file as large as any that is read', () => {
  it.each([
    [
      'assignments of another number of neurons',
      fullFile.bind(null, `${START}{"name":"p","neurons":1,"k":1,"assignments":[`, '0,', '0]}]}'),
    ],
    [
      'populations by the same name',
      fullFile.bind(null, START, '{"name":"","neurons":0,"k":0,"assignments":[]},', '{}]}'),
    ],
    ['lists in lists', fullFile.bind(null, `${START}{"name":"p","neurons":1,"k":1,"assignments":`, '[', '')],
  ])('of %s is refused in bounded time and memory', (_, make) => {
    const { code, milliseconds, extraMegabytes } = measure(make());
    expect(code).toBe('unreadable');
    expect(milliseconds).toBeLessThan(MAX_MILLISECONDS);
    expect(extraMegabytes).toBeLessThan(64);
  });
});
