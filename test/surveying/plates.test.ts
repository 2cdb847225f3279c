import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { stateFolder } from '../../src/state/index.js';
import { listPlates, type PlatesOptions } from '../../src/surveying/index.js';
import { at, go, inWorkplaces } from '../fixtures/runs.js';

inWorkplaces();

const list = (options: Partial<PlatesOptions> = {}) =>
  listPlates({ model: at('models/fledgling'), device: 'cpu', top: 20, ...options });
const TEXT = () => ({ file: at('models/fledgling/calibration.txt'), windows: 4, context: 32 });

describe('what a run has shed', () => {
  it('is read back state by state, and drawn', async () => {
    await go({ steps: [{ do: 'prune', plates: 'ffn', sparsity: 0.4, waves: 2, schedule: 'linear' }] });
    const journal = readFileSync(stateFolder(at('out/half')).journal, 'utf8');
    const waves = journal.split('\n').filter((line) => line.includes('"ffn-channel"'));
    expect(waves.length).toBeGreaterThan(0);
    const shedIn = async (state: string) => {
      const result = await list({ model: `${at('out/half')}@${state}`, kinds: ['ffn-channel'], top: 10_000 });
      expect(result.model).toBe(`half@${state}`);
      const shed = result.plates.filter(({ status }) => status === 'shed');
      expect(result.kinds.reduce((sum, kind) => sum + kind.shed, 0)).toBe(shed.length);
      // What is zero scores nothing, and would go first.
      for (const { score } of shed) expect(score).toBe(0);
      return new Set(shed.map(({ id }) => id));
    };
    const [none, first, now] = [await shedIn('dense'), await shedIn('1'), await shedIn('current')];
    expect(none.size).toBe(0);
    expect(first.size).toBeGreaterThan(0);
    expect(now.size).toBeGreaterThanOrEqual(first.size);
    expect([...first].every((id) => now.has(id))).toBe(true);
    const published = await list({ kinds: ['ffn-channel'], model: at('out/half'), top: 0 });
    const dense = await list({ kinds: ['ffn-channel'], top: 0 });
    expect(published.matching).toBe(dense.matching - now.size);
    const picture = at('plates.svg');
    await list({ model: `${at('out/half')}@current`, kinds: ['ffn-channel'], picture });
    expect(readFileSync(picture, 'utf8')).toContain(`${now.size} shed`);
  }, 60_000);
});

describe('files and pictures of plates', () => {
  it('have every plate once, with its slices', async () => {
    const [json, csv] = [at('plates.json'), at('plates.csv')];
    const result = await list({ calibration: TEXT(), out: json, top: 3 });
    await list({ calibration: TEXT(), out: csv, sort: 'id', top: 0 });
    const file = JSON.parse(readFileSync(json, 'utf8')) as { metric: string; list: typeof result.plates };
    expect(file.metric).toBe('activation');
    expect(file.list).toHaveLength(result.matching);
    expect(file.list.slice(0, 3)).toEqual(result.plates);
    expect(new Set(file.list.map(({ id }) => id)).size).toBe(result.matching);
    for (const { slices, parameters } of file.list) {
      expect(slices.length).toBeGreaterThan(0);
      expect(parameters).toBeGreaterThan(0);
    }
    const [header, ...lines] = readFileSync(csv, 'utf8').trimEnd().split('\n');
    expect(header).toBe(
      'id,kind,block,index,status,parameters,bytes,flops,score,relative,level,residual,reasons,slices',
    );
    expect(lines).toHaveLength(result.matching);
  });

  it('are the same bytes every time, and markup that no name can break out of', async () => {
    const pictures = [at('first.html'), at('second.html')];
    for (const picture of pictures) await list({ picture, top: 0 });
    const [first, second] = pictures.map((picture) => readFileSync(picture, 'utf8'));
    expect(second).toBe(first);
    expect(first).toContain('Channels of the feed-forward networks');
    expect(first).toContain('role="img"');
    expect(first).not.toContain('<script');
  });

  it('are not written on a dry run', async () => {
    await list({ out: at('plates.json'), picture: at('plates.svg'), dryRun: true });
    expect(existsSync(at('plates.json')) || existsSync(at('plates.svg'))).toBe(false);
  });
});

describe('filters', () => {
  it('choose kind, block, order and protection', async () => {
    const result = await list({ kinds: ['ffn-channel'], block: 1, sort: 'score', top: 5 });
    expect(result.plates.every(({ kind, block }) => kind === 'ffn-channel' && block === 1)).toBe(true);
    const scores = result.plates.map(({ relative }) => relative);
    expect(scores).toEqual(scores.toSorted((a, b) => a - b));
    const guarded = await list({
      onlyProtected: true,
      protectFirst: 1,
      protectLast: 0,
      target: 'llama.cpp',
      top: 10_000,
    });
    expect(guarded.plates.every(({ status, protections }) => status === 'protected' && protections.length > 0)).toBe(
      true,
    );
    expect(guarded.plates.some(({ id }) => id === 'block:0')).toBe(true);
  });

  it('say what an aggressiveness would shed, as marks', async () => {
    const { wouldShed, matching } = await list({
      aggressiveness: 0.5,
      kinds: ['ffn-channel'],
      protectFirst: 0,
      protectLast: 0,
    });
    expect(wouldShed!.plates).toBeGreaterThan(0.3 * matching);
    expect(wouldShed!.plates).toBeLessThanOrEqual(0.5 * matching);
    expect(Object.keys(wouldShed!.marks as object)).toEqual(['ffn-channel']);
  });

  it.each([
    ['a kind that the model has not', { kinds: ['expert'] as const }, 'no plates of kind expert'],
    ['a metric without its text', { metric: 'wanda' }, 'no calibration text'],
    ['a metric that is none', { metric: 'wnda' }, 'wnda'],
    ['a file of another kind', { out: 'plates.txt' }, 'must end in .json or .csv'],
    ['a picture of another kind', { picture: 'plates.png' }, 'must end in .svg or .html'],
    ['a folder that is not there', { out: '/nowhere/at/all/plates.json' }, 'is no folder'],
  ])('refuse %s', async (_, options, message) => {
    await expect(list(options as Partial<PlatesOptions>)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(message),
    });
  });
});
