import { writeFileDurably } from '../checkpoint/index.js';
import type { ClusterSettings, NeuronKind } from '../clustering/index.js';
import type { PopulationComparison } from './compare.js';
import type { PopulationRecord } from './record.js';
import type { PopulationHistory } from './wave-history.js';

/** What a cluster file says besides the clusters: everything that decides them. */
export interface ClusterHeader extends ClusterSettings {
  /** The last component of the model's path, or of the state: the same model gives the same file wherever it lies. */
  readonly model: string;
  /** Digest of its weights. */
  readonly weights: string;
  readonly neurons: NeuronKind;
  readonly calibration?: {
    readonly file: string;
    readonly sha256: string;
    readonly windows: number;
    readonly context: number;
  };
}

export const CLUSTER_FORMATS = ['json', 'csv'] as const;
export type ClusterFormat = (typeof CLUSTER_FORMATS)[number];

export interface ClusterFileContent {
  readonly header: ClusterHeader;
  readonly populations: readonly PopulationRecord[];
  /** In a JSON file alone: a table of neurons has no place for them. */
  readonly comparisons?: readonly PopulationComparison[];
  readonly history?: readonly PopulationHistory[];
}

/** Writes clusters to a file that appears whole or not at all. Throws `unwritable`. */
export function writeClusters(file: string, format: ClusterFormat, content: ClusterFileContent): Promise<void> {
  return writeFileDurably(file, format === 'csv' ? csvLines(content.populations) : jsonLines(content));
}

/** One population a line, so that a file of a large model never is one string. */
function* jsonLines({ header, populations, comparisons, history }: ClusterFileContent): Generator<string> {
  yield `{"clusters":1,${JSON.stringify(header).slice(1, -1)},"populations":[\n`;
  yield* objectLines(populations.map(({ assignments, ...rest }) => ({ ...rest, assignments: [...assignments] })));
  if (comparisons !== undefined) {
    yield '],"comparisons":[\n';
    yield* objectLines(comparisons);
  }
  if (history !== undefined) {
    yield '],"waves":[\n';
    yield* objectLines(history);
  }
  yield ']}\n';
}

function* objectLines(items: readonly object[]): Generator<string> {
  for (const [index, item] of items.entries()) yield `${JSON.stringify(item)}${index + 1 < items.length ? ',' : ''}\n`;
}

/** A neuron a line: its population, its block, its number in both, and its cluster; empty where it is in none. */
function* csvLines(populations: readonly PopulationRecord[]): Generator<string> {
  yield 'population,block,index,neuron,cluster,gone\n';
  for (const { name, parts, assignments, gone } of populations) {
    const none = new Set(gone);
    let neuron = 0;
    for (const { block, count } of parts) {
      for (let index = 0; index < count; index += 1) {
        const cluster = assignments[neuron]!;
        yield `${quoted(name)},${block},${index},${neuron},${cluster < 0 ? '' : cluster},${none.has(neuron) ? 1 : 0}\n`;
        neuron += 1;
      }
    }
  }
}

/** A weight's name comes from a file, which may put anything in it. */
function quoted(text: string): string {
  return /^[\w .-]+$/.test(text) ? text : `"${text.replaceAll('"', '""')}"`;
}
