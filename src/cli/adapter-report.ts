import { BirdboneError } from '../errors.js';
import { table } from './picture.js';
import { formatBytes, formatPercent } from './quantities.js';

/** What a written adapter looks like to people; every field is also in its JSON. */
export interface ShownAdapter {
  readonly out: string;
  readonly rank: number;
  readonly bytes: number;
  readonly manifest: string;
  readonly base: ShownFigures;
  readonly compressed: ShownFigures;
  readonly corrected: ShownFigures;
}

interface ShownFigures {
  readonly perplexity: number;
  readonly accuracy: number;
  readonly kl?: number;
}

/** The three models' figures, then where the adapter lies. */
export function renderAdapter({ out, rank, bytes, manifest, base, compressed, corrected }: ShownAdapter): string {
  const row = (name: string, { perplexity, accuracy, kl }: ShownFigures) => [
    name,
    perplexity.toPrecision(5),
    formatPercent(accuracy, 2),
    kl === undefined ? '–' : kl.toPrecision(4),
  ];
  const rows = [row('base', base), row('compressed', compressed), row('corrected', corrected)];
  return [
    table(rows, ['', 'perplexity', 'accuracy', 'KL to the base']),
    '',
    adapterLine({ out, rank, bytes }),
    `manifest    ${manifest}`,
  ].join('\n');
}

/** Where an adapter lies, or would. */
export function adapterLine({ out, rank, bytes }: Pick<ShownAdapter, 'out' | 'rank' | 'bytes'>): string {
  return `adapter     ${out}: rank ${rank}, ${formatBytes(bytes)}`;
}

/** Flags that say something of a model that is published in waves: an adapter is written at once. */
const OF_WAVES = [
  'ratio',
  'energy',
  'ranks',
  'min-step',
  'max-drop',
  'gate',
  'resume',
  'restart',
  'state',
  'diffs',
] as const;

/**
 * The base and the rank that `--format adapter` needs. Throws `usage` where one is missing, for flags that are without effect on
 * an adapter, and for `--base` without it.
 */
export function adapterOptions(
  flags: Readonly<Record<string, unknown>>,
): { readonly base: string; readonly rank: number } | undefined {
  const { format, base, rank, algorithm } = flags;
  if (format !== 'adapter') {
    if (base === undefined) return undefined;
    throw new BirdboneError('usage', `--base ${base} is allowed with --format adapter only.`, {
      suggestions: ['Leave --base out.', 'Correct a compressed model: --format adapter'],
    });
  }
  if (typeof base !== 'string' || typeof rank !== 'number') {
    const missing =
      base === undefined ? '--base, the model before it was compressed' : '--rank, that of the correction';
    throw new BirdboneError('usage', `--format adapter needs ${missing}.`, {
      suggestions: ['factorize COMPRESSED --base DENSE --format adapter --rank 16 --calibration FILE --out DIR'],
    });
  }
  const foreign = OF_WAVES.find((name) => flags[name] !== undefined && flags[name] !== false);
  if (foreign === undefined && algorithm !== 'svd') return { base, rank };
  const flag = foreign === undefined ? '--algorithm svd' : `--${foreign}`;
  throw new BirdboneError(
    'usage',
    `${flag} is without effect on an adapter, which is one whitened SVD of what is missing.`,
    {
      suggestions: [`Leave ${flag} out.`],
    },
  );
}
