import path from 'node:path';
import { type FileKind, outputFileFormat, writeFileDurably } from '../checkpoint/index.js';
import { parseGate } from '../evaluation/index.js';
import {
  divergenceChart,
  legible,
  type Picture,
  page,
  sheet,
  type WaveKind,
  type WaveSeries,
  waveChart,
} from '../pictures/index.js';
import type { History } from '../state/index.js';
import type { Log } from './log.js';

const PICTURE_FILE: FileKind<'svg' | 'html'> = { name: 'picture', flag: '--picture', formats: ['svg', 'html'] };

/**
 * Draws a run into one file, .svg or .html by its name: accuracy, perplexity and sparsity after each wave, what the gate allows,
 * waves that were rolled back, and warnings. An earlier file is replaced whole. With `dryRun` nothing is written. Throws `usage`
 * for another ending and for a folder that is not there.
 */
export async function writeRunPicture(
  log: Log,
  file: string,
  { dryRun = false }: { readonly dryRun?: boolean } = {},
): Promise<string> {
  const format = await outputFileFormat(file, PICTURE_FILE);
  const picture = await runPicture(log);
  const full = path.resolve(file);
  if (!dryRun) await writeFileDurably(full, format === 'svg' ? sheet(picture) : page(picture));
  return full;
}

/** A run's waves as charts. Pure but for the drawing; the same journal gives the same picture. */
export async function runPicture({ out, history }: Pick<Log, 'out' | 'history'>): Promise<Picture> {
  const charts = [];
  for (const series of seriesOf(history)) charts.push(await waveChart(series));
  const warned = history.waves.flatMap(({ wave, warnings = [] }) =>
    warnings.map(({ reason }) => `Wave ${wave}: ${reason}.`),
  );
  const gate = `gate: ${history.begin?.gate ?? 'unknown'}`;
  return {
    title: `${legible(path.basename(out))}: ${history.waves.length} waves`,
    text: [`Base: ${legible(path.basename(history.begin?.base.path ?? 'unknown'))}; ${gate}.`, ...warned].join(' '),
    sections: [{ heading: `Waves (${gate})`, charts }, ...(await thresholdSections(history))],
  };
}

/** What the last wave with thresholds of clusters knew of sparsities around its own. */
async function thresholdSections({ waves }: History): Promise<Picture['sections']> {
  const last = waves.findLast(({ details }) => details?.['thresholdFront'] !== undefined);
  if (last === undefined) return [];
  const points = (last.details!['thresholdFront'] as readonly Record<string, unknown>[]).flatMap(
    ({ sparsity, divergence }) =>
      typeof sparsity === 'number' && typeof divergence === 'number' ? [{ sparsity, divergence }] : [],
  );
  const chart = await divergenceChart({
    title: 'What removing less or more would cost',
    description: `Expected divergence from the dense model by the thresholds of wave ${last.wave}, moved alike: ${points.length} sparsities of which none loses to another in both.`,
    points,
    taken: last.target,
  });
  return [{ heading: `Thresholds of wave ${last.wave}`, charts: [chart] }];
}

function seriesOf(history: History): WaveSeries[] {
  const { waves, baseline } = history;
  const of = (value: (wave: History['waves'][number]) => number | undefined, dense: number | undefined) => {
    const first = dense === undefined ? [] : [{ wave: 0, value: dense, kind: 'kept' as const }];
    const rest = waves.flatMap((wave) => {
      const found = value(wave);
      return found === undefined ? [] : [{ wave: wave.wave, value: found, kind: kindOf(wave) }];
    });
    return [...first, ...rest];
  };
  const series = [
    measured(
      'accuracy',
      history,
      of(({ figures }) => figures['accuracy'], baseline?.figures['accuracy']),
    ),
    measured(
      'perplexity',
      history,
      of(({ figures }) => figures['perplexity'], baseline?.figures['perplexity']),
    ),
    {
      title: 'Sparsity',
      description: 'Fraction removed of the weights that may go.',
      unit: 'sparsity',
      points: of(({ sparsity }) => sparsity, 0),
    },
  ];
  return series.filter(({ points }) => points.length > 0);
}

function measured(metric: 'accuracy' | 'perplexity', history: History, points: WaveSeries['points']): WaveSeries {
  const limit = limitOf(metric, history);
  const line = limit === undefined ? 'The gate has no limit of it' : `The gate's limit is ${limit.toPrecision(4)}`;
  const [first, last] = [points[0], points.findLast(({ kind }) => kind.startsWith('kept'))];
  const change =
    first === undefined || last === undefined
      ? ''
      : ` ${first.value.toPrecision(4)} at first, ${last.value.toPrecision(4)} at last.`;
  const title = metric === 'accuracy' ? 'Accuracy' : 'Perplexity';
  return { title, description: `${line}.${change}`, unit: metric, points, limit };
}

/** What a model may have of a figure by the gate's term on it, from the dense model's; undefined without such a term. */
function limitOf(metric: 'accuracy' | 'perplexity', { begin, baseline }: History): number | undefined {
  const dense = baseline?.figures[metric];
  if (dense === undefined || begin === undefined || begin.gate === 'off') return undefined;
  const term = parseGate(begin.gate).terms.find((candidate) => candidate.metric === metric);
  if (term === undefined) return undefined;
  return metric === 'accuracy' ? dense * (1 - term.limit) : dense * term.limit;
}

function kindOf({ verdict, active, warnings = [] }: History['waves'][number]): WaveKind {
  if (verdict === 'rolled-back') return 'rolled back';
  if (!active) return 'undone';
  return warnings.length > 0 ? 'kept, warned' : 'kept';
}
