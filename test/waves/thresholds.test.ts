import { expect, it } from 'vitest';
import type { Event } from '../../src/events.js';
import { verifyFolder } from '../../src/manifest/index.js';
import { planRun } from '../../src/waves/index.js';
import { at, go, inWorkplaces, recipe } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const clusterThresholds = { clusters: 1, generations: 1, offspring: 2, overrides: { '*.0.mlp.down_proj.weight': 0.4 } };
const STEPS = [{ do: 'prune', sparsity: 0.5, waves: 2, schedule: 'linear', thresholds: 'cluster', clusterThresholds }];

it('thresholds of clusters are recommended, recorded, begun where the last wave ended, and resumed to the same bytes', async () => {
  const whole = await go({ out: at('whole/half'), steps: STEPS });
  expect(await verifyFolder(whole.out)).toMatchObject({ matches: true });
  expect(whole.sparsity).toBeCloseTo(0.5, 3);
  const [first, second] = whole.waves.map(({ details }) => details!);
  const names = (details: typeof first) =>
    (details!['thresholdFinalists'] as { name: string }[]).map(({ name }) => name);
  expect(names(first)).not.toContain('earlier');
  expect(names(second)).toContain('earlier');
  const controller = new AbortController();
  let waves = 0;
  const notices: string[] = [];
  const report = (event: Event) => {
    if (event.type === 'wave') waves += 1;
    if (event.type === 'notice') notices.push(event.message);
    if (waves === 1 && event.type === 'progress' && event.stage === 'thresholds') controller.abort();
  };
  const stopped = go({ steps: STEPS }, { report, signal: controller.signal });
  await expect(stopped).rejects.toMatchObject({ code: 'interrupted' });
  expect(notices).toContainEqual(expect.stringMatching(/^Thresholds for 25\.0 %: .* is expected/));
  const resumed = await go({ steps: STEPS }, { resume: true });
  expect(contentsOf(resumed.out)).toEqual(contentsOf(whole.out));
});

it('a plan counts what the search takes', async () => {
  const of = async (thresholds: object) => {
    const steps = [{ do: 'prune', sparsity: 0.5, waves: 1, ...thresholds }];
    return (await planRun({ recipe: recipe({ steps }), device: 'cpu' })).time.flopsPerWave;
  };
  const [uniform, short, long] = [
    await of({}),
    await of({ thresholds: 'cluster', clusterThresholds: { generations: 1 } }),
    await of({ thresholds: 'cluster', clusterThresholds: { generations: 101 } }),
  ];
  expect(short).toBeGreaterThan(2 * uniform);
  expect(long - short).toBeGreaterThan(short - uniform);
});
