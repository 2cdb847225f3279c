import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { damageCsv, damageJson } from '../../src/assessing/damage-file.js';
import { damagePicture } from '../../src/assessing/damage-picture.js';
import { type AssessOptions, assess } from '../../src/assessing/index.js';
import type { Damage } from '../../src/damage/index.js';
import { page, sheet } from '../../src/pictures/index.js';
import { at, go, inWorkplaces } from '../fixtures/runs.js';
import { parseMarkup } from '../pictures/parse-markup.js';

inWorkplaces();

const run = (change: Partial<AssessOptions>) =>
  assess({
    model: at('models/fledgling'),
    base: at('models/fledgling'),
    calibration: { file: at('models/fledgling/calibration.txt'), windows: 2, context: 16 },
    device: 'cpu',
    ...change,
  });
const UP = 'model.layers.1.mlp.up_proj.weight';

/** A file such as `cluster --neurons rows` writes, of one matrix. */
function clustersFile(change: object = {}): string {
  const assignments = Array.from({ length: 44 }, (_, row) => row % 3);
  const populations = [{ name: UP, neurons: 44, k: 3, assignments, ...change }];
  const header = { clusters: 1, model: 'fledgling', neurons: 'rows', by: 'both', method: 'kmeans' };
  const file = at('clusters.json');
  writeFileSync(file, JSON.stringify({ ...header, populations }));
  return file;
}

describe('assess', () => {
  it('looks at states of a run beside what it began with, and at what it published', async () => {
    await go({ steps: [{ do: 'prune', sparsity: 0.5, waves: 2, schedule: 'linear', metric: 'magnitude' }] });
    const { base: _, ...noBase } = { base: undefined };
    const options = { calibration: { file: at('models/fledgling/calibration.txt'), windows: 2, context: 16 } };
    const state = (point: string) =>
      assess({ model: `${at('out/half')}@${point}`, device: 'cpu', ...options, ...noBase });
    const [dense, first, last] = [await state('dense'), await state('1'), await state('current')];
    expect(first).toMatchObject({ model: 'half@1', base: 'fledgling', text: { windows: 2, context: 16 } });
    const error = ({ damage }: { damage?: Damage }) => damage!.blocks.at(-1)!.total.relativeError;
    expect(error(dense)).toBe(0);
    expect(dense.queue).toEqual([]);
    expect(error(first)).toBeGreaterThan(0.01);
    expect(error(last)).toBeGreaterThan(error(first));
    const published = await run({ model: at('out/half') });
    expect(published.damage).toEqual(last.damage);
    await expect(assess({ model: at('out/half'), device: 'cpu', ...options })).rejects.toMatchObject({ code: 'usage' });
  }, 60_000);

  it('divides it among clusters from a file, and refuses others', async () => {
    const { damage } = await run({ clusters: clustersFile() });
    expect(damage!.clusters!.map(({ weight, cluster, rows }) => [weight, cluster, rows])).toEqual([
      [UP, 0, 15],
      [UP, 1, 15],
      [UP, 2, 14],
    ]);
    const refused = (change: object) => run({ clusters: clustersFile(change) });
    await expect(refused({ name: 'lm_head.weight' })).rejects.toMatchObject({
      code: 'usage',
      tensor: 'lm_head.weight',
    });
    await expect(refused({ neurons: 43, assignments: Array(43).fill(0), k: 1 })).rejects.toMatchObject({
      code: 'usage',
    });
    await expect(refused({ k: 2 })).rejects.toMatchObject({ code: 'unreadable' });
    const file = clustersFile();
    writeFileSync(file, readFileSync(file, 'utf8').replace('"rows"', '"ffn"'));
    await expect(run({ clusters: file })).rejects.toMatchObject({ code: 'usage' });
    await expect(run({ clusters: at('none.json') })).rejects.toMatchObject({ code: 'unreadable' });
  });

  it('writes what it has found, the same each time, and nothing with dryRun', async () => {
    const [out, picture] = [at('damage.json'), at('damage.html')];
    expect(await run({ out, picture, dryRun: true })).not.toHaveProperty('damage');
    expect(existsSync(out) || existsSync(picture)).toBe(false);
    const result = await run({ out, picture });
    const [text, drawn] = [readFileSync(out, 'utf8'), readFileSync(picture, 'utf8')];
    const { damage, blocks, matrices, ...rest } = JSON.parse(text);
    expect({ damage, blocks, matrices }).toEqual({
      damage: 1,
      blocks: result.damage!.blocks,
      matrices: result.damage!.matrices,
    });
    expect(rest).toMatchObject({ model: 'fledgling', base: 'fledgling', tokens: 32, queue: [] });
    await run({ out, picture });
    expect([readFileSync(out, 'utf8'), readFileSync(picture, 'utf8')]).toEqual([text, drawn]);
    await expect(run({ out: at('damage.txt') })).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('files and pictures', () => {
  const drift = { relativeError: 0.25, cosine: null, cka: 0.5 };
  const hostile = '<img src=x onerror="1">,"\n\u202e';
  const place = { block: 0, weight: hostile, severity: 'severe', atOutput: 0.2 } as const;
  const assessed = {
    model: hostile,
    base: 'dense',
    text: { name: hostile, sha256: 'ab', windows: 1, context: 8 },
    damage: {
      passages: 1,
      tokens: 8,
      blocks: [{ ...place, total: drift, own: drift, inherited: 0, ownShare: 1, transmission: null }],
      matrices: [{ ...place, role: 'q', rows: 2, columns: 3, own: drift, total: null, effect: 0.2 }],
      clusters: [{ block: 0, weight: hostile, cluster: -1, rows: 2, own: drift, total: null, share: 1 }],
    } satisfies Damage,
    queue: [
      { ...place, rank: 1, role: 'q', share: 1, costShare: 1, priority: 1, cumulativeShare: 1, cumulativeCost: 1 },
    ],
  };

  it('hold whatever a name may be', async () => {
    expect(JSON.parse(damageJson(assessed))).toMatchObject({ model: hostile, queue: assessed.queue });
    const csv = damageCsv(assessed);
    expect(csv.split('\n')[1]).toBe('block,0,,,,,severe,0.2,0.25,,0.5,0.25,,0.5,0,1,,,,');
    expect(csv).toContain('"<img src=x onerror=""1"">,""');
    const picture = await damagePicture(assessed);
    for (const text of [page(picture), sheet(picture)]) {
      expect(parseMarkup(text).elements).not.toContain('img');
      expect(text).not.toContain('\u202e');
    }
  });
});
