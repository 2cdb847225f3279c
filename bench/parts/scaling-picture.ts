import { type Chart, drawChart, KIND_COLOURS, sheet } from '../../src/pictures/index.js';
import type { Job, Scaling } from './scaling.js';

const SIZE = { width: 420, height: 190 } as const;
const MARGINS = { top: 8, right: 20, bottom: 40, left: 64 } as const;

interface Curve {
  readonly title: string;
  readonly description: string;
  readonly across: string;
  readonly up: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

/** CPU time and peak memory against parameters and tokens, and time against cores, as one SVG file. */
export async function drawScaling({ parameters, tokens, cores }: Scaling): Promise<string> {
  const by = (jobs: readonly Job[], x: (job: Job) => number, y: (job: Job) => number) =>
    jobs.map((job) => ({ x: x(job), y: y(job) }));
  const millions = (job: Job) => job.parameters / 1e6;
  const megabytes = (job: Job) => job.peakBytes / 1e6;
  const curves: Curve[] = [
    {
      title: 'CPU time against parameters',
      description: 'Grows with the parameters: every token meets each of them twice.',
      across: 'parameters, millions',
      up: 'CPU seconds',
      points: by(parameters, millions, (job) => job.cpuSeconds),
    },
    {
      title: 'Peak memory against parameters',
      description: 'Grows with the largest block, not with their number.',
      across: 'parameters, millions',
      up: 'MB',
      points: by(parameters, millions, megabytes),
    },
    {
      title: 'CPU time against tokens',
      description: 'What does not depend on the text is where the line meets the axis.',
      across: 'calibration tokens',
      up: 'CPU seconds',
      points: by(
        tokens,
        (job) => job.tokens,
        (job) => job.cpuSeconds,
      ),
    },
    {
      title: 'Peak memory against tokens',
      description: 'The hidden states of all windows, up to --memory; beyond, they go to the disk.',
      across: 'calibration tokens',
      up: 'MB',
      points: by(tokens, (job) => job.tokens, megabytes),
    },
    {
      title: 'Time against cores',
      description: 'By the clock.',
      across: 'cores',
      up: 'seconds',
      points: by(
        cores,
        (job) => job.cores,
        (job) => job.seconds,
      ),
    },
  ];
  const charts: Chart[] = [];
  for (const curve of curves) charts.push(await draw(curve));
  return sheet({ title: 'Pruning with Wanda', sections: [{ heading: 'Time and memory', charts }] });
}

function draw({ title, description, across, up, points }: Curve): Promise<Chart> {
  const colour = KIND_COLOURS[0]!;
  const place = { x: { scale: 'x', field: 'x' }, y: { scale: 'y', field: 'y' } } as const;
  return drawChart(
    { title, description, ...SIZE, margins: MARGINS },
    {
      data: [{ name: 'points', values: [...points] }],
      scales: [
        { name: 'x', type: 'linear', zero: true, nice: true, domain: { data: 'points', field: 'x' }, range: 'width' },
        { name: 'y', type: 'linear', zero: true, nice: true, domain: { data: 'points', field: 'y' }, range: 'height' },
      ],
      axes: [
        { orient: 'bottom', scale: 'x', title: across, tickCount: 6 },
        { orient: 'left', scale: 'y', title: up, tickCount: 5, grid: true },
      ],
      marks: [
        { type: 'line', from: { data: 'points' }, encode: { enter: { ...place, stroke: { value: colour } } } },
        { type: 'symbol', from: { data: 'points' }, encode: { enter: { ...place, fill: { value: colour } } } },
      ],
    },
  );
}
