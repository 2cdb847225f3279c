import { table } from './picture.js';

/** What clusters look like to people; every field is also in their JSON. */
export interface ShownClusters {
  readonly out: string;
  readonly picture?: string;
  readonly written: boolean;
  readonly neurons: string;
  readonly by: string;
  readonly method: string;
  readonly populations: readonly {
    readonly name: string;
    readonly neurons: number;
    readonly gone: number;
    readonly k: number;
    readonly quality?: { readonly silhouette: number | null; readonly daviesBouldin: number | null };
    readonly stability?: {
      readonly seeds: { readonly mean: number } | null;
      readonly bootstrap: { readonly mean: number } | null;
    };
    readonly tendency?: { readonly chance: number };
    readonly notes: readonly string[];
    readonly clusters: readonly { readonly size: number }[];
  }[];
  readonly comparisons?: readonly ShownComparison[];
  readonly waves?: readonly ShownHistory[];
}

interface ShownComparison {
  readonly name: string;
  readonly k: readonly [number, number];
  readonly adjustedRand: number;
  readonly normalizedMutualInformation: number;
}

interface ShownHistory {
  readonly name: string;
  readonly waves: readonly {
    readonly wave: number;
    readonly k: number;
    readonly gone: number;
    readonly events: readonly { readonly kind: string }[];
  }[];
}

/** Populations that are printed; the file has all. */
const MOST_LINES = 40;

/** The `cluster` command's result for people. */
export function clusterReport(result: ShownClusters): string {
  const { out, picture, written, comparisons, waves } = result;
  const files = [`clusters  ${out}`, ...(picture === undefined ? [] : [`picture   ${picture}`])];
  if (!written) return files.map((file) => `would write ${file.replace(/ +/, ' ')}`).join('\n');
  const parts = [
    populationLines(result),
    ...(comparisons === undefined ? [] : [comparisonLines(comparisons)]),
    ...(waves === undefined ? [] : [waveLines(waves)]),
    files,
  ];
  return parts.map((lines) => lines.join('\n')).join('\n\n');
}

const BY: Readonly<Record<string, string>> = {
  functional: 'what they give over the text',
  structural: 'their weights',
  both: 'what they give over the text and by their weights',
};

function populationLines({ populations, neurons, by, method }: ShownClusters): string[] {
  const stable = populations.some(({ stability }) => stability !== undefined);
  const rows = populations
    .slice(0, MOST_LINES)
    .map(({ name, neurons: count, k, clusters, quality, stability, tendency }) => [
      name,
      String(count),
      String(k),
      figure(quality?.silhouette),
      figure(quality?.daviesBouldin),
      ...(stable ? [stability?.seeds?.mean, stability?.bootstrap?.mean, tendency?.chance].map(figure) : []),
      clusters.map(({ size }) => size).join(' '),
    ]);
  const header = ['population', 'neurons', 'clusters', 'silhouette', 'Davies–Bouldin'];
  const stability = stable ? ['seeds', 'bootstrap', 'chance'] : [];
  const notes = [...new Set(populations.flatMap(({ notes: own }) => own))];
  const gone = populations.reduce((sum, population) => sum + population.gone, 0);
  return [
    `${neurons} by ${BY[by] ?? by}, ${method}`,
    table(rows, [...header, ...stability, 'sizes']),
    ...more(populations.length),
    ...(gone > 0 ? [`${gone} neurons give nothing and are in no cluster.`] : []),
    ...notes,
  ];
}

function comparisonLines(comparisons: readonly ShownComparison[]): string[] {
  const rows = comparisons
    .slice(0, MOST_LINES)
    .map(({ name, k, adjustedRand, normalizedMutualInformation }) => [
      name,
      k.join(' → '),
      figure(adjustedRand),
      figure(normalizedMutualInformation),
    ]);
  return [
    'against the earlier clusters (1: the same, 0: as by chance)',
    table(rows, ['population', 'clusters', 'adjusted Rand', 'mutual information']),
    ...more(comparisons.length),
  ];
}

function waveLines(histories: readonly ShownHistory[]): string[] {
  const lines = histories.slice(0, MOST_LINES).flatMap(({ name, waves }) =>
    waves.map(({ wave, k, gone, events }) => {
      const count = (kind: string) => String(events.filter((event) => event.kind === kind).length);
      const kinds = ['continued', 'born', 'split', 'merged', 'died'];
      return [name, String(wave), String(k), String(gone), ...(wave === 0 ? kinds.map(() => '–') : kinds.map(count))];
    }),
  );
  return [
    'over the waves',
    table(lines, ['population', 'wave', 'clusters', 'gone', 'went on', 'born', 'split', 'merged', 'died']),
    ...more(histories.length),
  ];
}

function more(count: number): string[] {
  return count > MOST_LINES ? [`and ${count - MOST_LINES} more, in the file`] : [];
}

function figure(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toFixed(3);
}
