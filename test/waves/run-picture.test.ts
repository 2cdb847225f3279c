import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { historyOf, type JournalRecord } from '../../src/state/index.js';
import type { Log } from '../../src/waves/index.js';
import { runPicture, writeRunPicture } from '../../src/waves/run-picture.js';
import { at, inWorkplaces } from '../fixtures/runs.js';

inWorkplaces();

const warning = {
  series: 'accuracy',
  chart: 'cusum',
  value: 5,
  limit: 4,
  reason: 'accuracy is lost 3.0 times as fast',
};
const wave = (number: number, change: object = {}) => ({
  type: 'wave',
  wave: number,
  step: 0,
  target: number / 10,
  sparsity: number / 10,
  changed: true,
  layers: [],
  layer: { name: '', sha256: '' },
  verdict: 'committed',
  reason: '',
  terms: [],
  figures: { accuracy: 0.5 - number / 100, perplexity: 20 + number },
  ...change,
});

function logOf(gate: string): Log {
  const bodies = [
    { type: 'begin', gate, base: { path: '/models/<b>&x' } },
    { type: 'baseline', figures: { accuracy: 0.5, perplexity: 20 } },
    wave(1),
    wave(2, { warnings: [warning] }),
    wave(3, { verdict: 'rolled-back', figures: { accuracy: 0.1, perplexity: Number.NaN } }),
  ];
  const records = bodies.map((body, index) => ({ seq: index + 1, at: '', digest: '', ...body })) as JournalRecord[];
  return { out: '/out/half', state: '', status: 'running', history: historyOf(records), entries: [], records };
}

describe('runPicture', () => {
  it('draws the front of the last thresholds, the chosen sparsity larger than the others', async () => {
    const log = logOf('off');
    const front = [0.25, 0.3, 0.35].map((sparsity) => ({ sparsity, divergence: sparsity ** 2 }));
    const waves = log.history.waves.map((found) =>
      found.wave === 3 ? { ...found, details: { thresholdFront: front } } : found,
    );
    const { sections } = await runPicture({ ...log, history: { ...log.history, waves } });
    expect(sections.map(({ heading }) => heading)).toEqual(['Waves (gate: off)', 'Thresholds of wave 3']);
    const { svg } = sections[1]!.charts[0]!;
    const marks = /<g class="mark-symbol role-mark[^>]*>(.*?)<\/g>/s.exec(svg)![1]!.match(/<path [^>]*>/g)!;
    const radii = marks.map((mark) => Number(/ d="M([\d.]+),/.exec(mark)![1]));
    expect(radii).toHaveLength(3);
    expect(radii.indexOf(Math.max(...radii))).toBe(1);
  });

  it('draws accuracy, perplexity and sparsity, the gate, what was rolled back, and warnings', async () => {
    const picture = await runPicture(logOf('accuracy<=10% and perplexity<1.5x'));
    const charts = picture.sections.flatMap((section) => section.charts);
    expect(charts.map(({ title }) => title)).toEqual(['Accuracy', 'Perplexity', 'Sparsity']);
    // 0.5 less a tenth of it, and one and a half times 20.
    expect(charts[0]!.description).toBe("The gate's limit is 0.4500. 0.5000 at first, 0.4800 at last.");
    expect(charts[1]!.description).toBe("The gate's limit is 30.00. 20.00 at first, 22.00 at last.");
    expect(picture.text).toContain('Wave 2: accuracy is lost 3.0 times as fast.');
    // One dashed line each for the limits, none for sparsity.
    expect(charts.map(({ svg }) => svg.split('stroke-dasharray').length - 1)).toEqual([1, 1, 0]);
    // Marks of the dense model and three waves; of perplexity, one wave has none.
    const marks = charts.map(
      ({ svg }) => /<g class="mark-symbol role-mark[^>]*>(.*?)<\/g>/s.exec(svg)![1]!.split('<path').length - 1,
    );
    expect(marks).toEqual([4, 3, 4]);
  });

  it('has no limit where the gate is off or speaks of something else', async () => {
    for (const gate of ['off', 'kl<0.1']) {
      const picture = await runPicture(logOf(gate));
      expect(picture.sections[0]!.charts[0]!.description).toContain('The gate has no limit of it');
    }
  });
});

describe('writeRunPicture', () => {
  it('writes one self-contained file, the same each time, with every name escaped', async () => {
    const log = logOf('accuracy<=3%');
    for (const name of ['run.svg', 'run.html']) {
      const first = await readFile(await writeRunPicture(log, at(name)), 'utf8');
      expect(await readFile(await writeRunPicture(log, at(name)), 'utf8')).toBe(first);
      expect(first).not.toContain('<b>');
      expect(first).not.toMatch(/<script|xlink:href|src=/);
      expect(first).toContain('&#60;b&#62;');
    }
  });

  it('writes nothing in a dry run, and refuses other names and places', async () => {
    const log = logOf('off');
    const before = readdirSync(at());
    await writeRunPicture(log, at('run.svg'), { dryRun: true });
    await expect(writeRunPicture(log, at('run.png'))).rejects.toMatchObject({ code: 'usage' });
    await expect(writeRunPicture(log, at('nowhere/run.svg'))).rejects.toThrow(/is no folder/);
    expect(existsSync(at('run.svg'))).toBe(false);
    expect(readdirSync(at())).toEqual(before);
  });
});
