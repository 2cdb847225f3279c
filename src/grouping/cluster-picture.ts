import {
  type Chart,
  groupBars,
  groupMap,
  heatmap,
  type LineageKind,
  legible,
  lineageChart,
  type PageTable,
  type Picture,
  type Section,
  scatter,
  space,
} from '../pictures/index.js';
import type { ClusterHeader } from './cluster-file.js';
import type { PopulationComparison } from './compare.js';
import type { PopulationRecord } from './record.js';
import type { PopulationView } from './view.js';
import type { PopulationHistory } from './wave-history.js';

/** What there is to draw. */
export interface Drawn {
  readonly populations: readonly PopulationRecord[];
  readonly views: readonly PopulationView[];
  readonly comparisons?: readonly PopulationComparison[];
  readonly history?: readonly PopulationHistory[];
}

/** Draws clusters: what was found of each population, and where its neurons lie. The same clusters give the same bytes. */
export async function clusterPicture(header: ClusterHeader, drawn: Drawn): Promise<Picture> {
  const { populations, views, comparisons, history } = drawn;
  const tables = [qualityTable(populations), ...(comparisons === undefined ? [] : [comparisonTable(comparisons)])];
  const shown = views.length < populations.length ? ` ${views.length} of ${populations.length} are drawn.` : '';
  const sections: Section[] = [
    { heading: 'All populations', text: `Neurons that are clustered together.${shown}`, charts: [], tables },
  ];
  for (const view of views) {
    const past = history?.find(({ name }) => name === view.name);
    const record = populations.find(({ name }) => name === view.name)!;
    sections.push(await viewSection(view, record, past));
  }
  const { calibration, by, method, neurons } = header;
  const text =
    calibration === undefined
      ? `${NEURONS[neurons]} by ${BY[by]}, in clusters by ${method}.`
      : `${NEURONS[neurons]} by ${BY[by]}, over ${calibration.windows} windows of ${calibration.context} tokens from ${legible(calibration.file)}, in clusters by ${method}.`;
  return { title: `Clusters of ${legible(header.model)}`, text, sections };
}

const NEURONS = {
  rows: 'Output rows',
  ffn: 'Channels of the feed-forward networks',
  heads: 'Attention heads',
} as const;
const BY = {
  functional: 'what they give',
  structural: 'their weights',
  both: 'what they give and their weights',
} as const;

async function viewSection(
  view: PopulationView,
  record: PopulationRecord,
  history: PopulationHistory | undefined,
): Promise<Section> {
  const { live, points } = view;
  const left = points.length < live ? ` ${points.length} of ${live} neurons are drawn.` : '';
  return {
    heading: legible(view.name),
    text: `${record.neurons} neurons in ${record.k} clusters.${left} The axes are the directions in which the neurons differ most, of a space in which all kinds of figures count alike. On a page the third drawing turns: drag it, or use the arrow keys.`,
    charts: [
      ...(history === undefined ? [] : [await historyChart(history)]),
      await plane(view),
      await neighbours(view),
      await turnable(view),
      await distances(view),
      await sizes(view),
    ],
    tables: [clusterTable(record)],
  };
}

function axisName(view: PopulationView, d: 0 | 1 | 2): string {
  const share = view.explained[d] ?? 0;
  return `direction ${d + 1} (${(100 * share).toFixed(0)} % of the variance)`;
}

function plane(view: PopulationView): Promise<Chart> {
  return scatter({
    title: 'Neurons in two directions',
    description: `${view.points.length} neurons in ${view.clusters.length} clusters.`,
    x: axisName(view, 0),
    y: axisName(view, 1),
    group: 'cluster',
    points: view.points.map(({ at, cluster }) => ({ x: at[0], y: at[1], group: cluster })),
  });
}

function turnable(view: PopulationView): Promise<Chart> {
  return space({
    title: 'Neurons in three directions',
    description: `${view.points.length} neurons in ${view.clusters.length} clusters, seen from one side.`,
    axes: ['1', '2', '3'],
    group: 'cluster',
    points: view.points.map(({ at, cluster }) => ({ at, group: cluster })),
  });
}

function neighbours(view: PopulationView): Promise<Chart> {
  const [shortest] = view.topology;
  const nearest =
    shortest === undefined
      ? ''
      : ` ${shortest.from} and ${shortest.to} are nearest, ${shortest.distance.toFixed(2)} apart.`;
  return groupMap({
    title: 'Which clusters lie next to which',
    description: `The shortest ways that connect all ${view.clusters.length} clusters; areas are sizes.${nearest}`,
    x: axisName(view, 0),
    y: axisName(view, 1),
    groups: view.clusters.map(({ size, at }) => ({ x: at[0], y: at[1], size })),
    edges: view.topology,
  });
}

function distances({ distances: { k, members } }: PopulationView): Promise<Chart> {
  const names = Array.from({ length: k }, (_, cluster) => String(cluster));
  return heatmap({
    title: 'Distances within clusters and between them',
    description: `Root mean square distances between the neurons of ${k} clusters; on the diagonal, between those of one cluster.`,
    columns: { title: 'cluster', names },
    rows: { title: 'cluster', names },
    cells: [...members].map((value, cell) => ({ column: cell % k, row: Math.floor(cell / k), value })),
    unit: 'distance',
  });
}

function sizes({ clusters }: PopulationView): Promise<Chart> {
  const most = clusters.reduce((best, { size }, group) => (size > clusters[best]!.size ? group : best), 0);
  return groupBars({
    title: 'Sizes of the clusters',
    description: `${clusters.length} clusters; the largest, ${most}, has ${clusters[most]!.size} neurons.`,
    group: 'cluster',
    unit: 'neurons',
    bars: clusters.map(({ size }, group) => ({ group, value: size })),
  });
}

function historyChart({ waves, lineages }: PopulationHistory): Promise<Chart> {
  const first = waves[0]!.wave;
  const last = waves.at(-1)!.wave;
  const seen = (lineage: number) => waves.filter((wave) => wave.lineages.some((one) => one.lineage === lineage));
  const kindOf = (wave: number, lineage: number): LineageKind => {
    const own = seen(lineage);
    if (own.at(-1)!.wave === wave && wave !== last) return 'last seen';
    return own[0]!.wave === wave && wave !== first ? 'born' : 'goes on';
  };
  return lineageChart({
    title: 'Clusters over the waves',
    description: `${lineages} clusters over the states after ${waves.length} waves, the dense model's among them.`,
    unit: 'neurons',
    points: waves.flatMap(({ wave, lineages: own }) => {
      return own.map(({ lineage, size }) => ({ wave, lineage, size, kind: kindOf(wave, lineage) }));
    }),
  });
}

function qualityTable(populations: readonly PopulationRecord[]): PageTable {
  return {
    caption: 'How good the clusters are',
    header: [
      'population',
      'neurons',
      'gone',
      'clusters',
      'silhouette',
      'Davies–Bouldin',
      'bootstrap (adjusted Rand)',
      'chance',
    ],
    rows: populations.map(({ name, neurons, gone, k, quality, stability, tendency }) => [
      legible(name),
      String(neurons),
      String(gone.length),
      String(k),
      figure(quality?.silhouette),
      figure(quality?.daviesBouldin),
      figure(stability?.bootstrap?.mean),
      figure(tendency?.chance),
    ]),
  };
}

function comparisonTable(comparisons: readonly PopulationComparison[]): PageTable {
  return {
    caption: 'Against the earlier clusters',
    header: ['population', 'clusters before', 'now', 'adjusted Rand', 'mutual information'],
    rows: comparisons.map(({ name, k, adjustedRand, normalizedMutualInformation }) => [
      legible(name),
      String(k[0]),
      String(k[1]),
      figure(adjustedRand),
      figure(normalizedMutualInformation),
    ]),
  };
}

function clusterTable({ clusters }: PopulationRecord): PageTable {
  return {
    caption: 'What its clusters are like',
    header: ['cluster', 'neurons', 'deviation', 'kurtosis', 'sparseness', 'firing', 'contribution', 'norm', 'density'],
    rows: clusters.map((cluster) => [
      String(cluster.cluster),
      String(cluster.size),
      figure(cluster.deviation),
      figure(cluster.kurtosis),
      figure(cluster.sparseness),
      figure(cluster.firing),
      figure(cluster.contribution),
      figure(cluster.norm),
      figure(cluster.density),
    ]),
  };
}

function figure(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toPrecision(3);
}
