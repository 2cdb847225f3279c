import type { Damage, MatrixDamage } from '../damage/index.js';
import {
  type Chart,
  errorChart,
  heatmap,
  legible,
  type PageTable,
  type Picture,
  type Section,
} from '../pictures/index.js';
import type { Assessed } from './damage-file.js';

/** Rows of a heatmap: a model of many experts has more kinds of matrices than can be told apart. */
const MAX_ROWS = 64;
/** Lines of the queue; the file has all. */
const MAX_TASKS = 40;

/** Draws where the damage is. The same damage gives the same bytes. */
export async function damagePicture(assessed: Assessed): Promise<Picture> {
  const { model, base, text, damage } = assessed;
  const { tokens } = damage;
  const sections: Section[] = [
    { heading: 'Along the model', text: ALONG, charts: [await blockChart(damage)], tables: [blockTable(damage)] },
    { heading: 'Matrix by matrix', text: MATRICES, charts: await matrixCharts(damage), tables: [queueTable(assessed)] },
  ];
  if (damage.clusters !== undefined && damage.clusters.length > 0)
    sections.push({ heading: 'Clusters of rows', charts: [await clusterChart(damage)] });
  return {
    title: `Damage of ${legible(model)}`,
    text: `Against ${legible(base)}, on ${tokens} tokens of ${legible(text.name)}.`,
    sections,
  };
}

const ALONG =
  'Bars are the error that a block makes itself when it is fed what the dense model feeds it; the line is the error of its output when it is fed by the compressed blocks before it.';
const MATRICES =
  "What each matrix contributes to the error at the model's output: what it alone does to its block's output, carried on as the blocks behind carry errors on.";

function blockChart({ blocks }: Damage): Promise<Chart> {
  const worst = blocks.reduce((most, block) => (block.atOutput > most.atOutput ? block : most));
  const last = blocks.at(-1)!;
  return errorChart({
    title: "Relative error of each block's output",
    description: `${shown(last.total.relativeError)} behind the last block; block ${worst.block} contributes most to it, ${shown(worst.atOutput)}.`,
    unit: 'relative error',
    blocks: blocks.map(({ block, own, total }) => ({ block, own: own.relativeError, total: total.relativeError })),
  });
}

async function matrixCharts({ matrices }: Damage): Promise<Chart[]> {
  const all = [...new Set(matrices.map(kindOf))];
  const kinds = all.slice(0, MAX_ROWS);
  const blocks = [...new Set(matrices.map(({ block }) => block))];
  const axes = {
    columns: { title: 'block', names: blocks.map(String) },
    rows: { title: 'matrix', names: kinds },
  };
  const of = (value: (matrix: MatrixDamage) => number | null | undefined) =>
    matrices.flatMap((matrix) => {
      const [row, found] = [kinds.indexOf(kindOf(matrix)), value(matrix)];
      if (row < 0 || found === null || found === undefined) return [];
      return [{ column: blocks.indexOf(matrix.block), row, value: found }];
    });
  const left = kinds.length < all.length ? ` The first ${kinds.length} of ${all.length} kinds.` : '';
  return [
    await heatmap({
      title: "Error at the model's output that comes from each matrix",
      description: `A part of the size of the output.${left}`,
      ...axes,
      cells: of(({ atOutput }) => atOutput),
      unit: 'error at the output',
    }),
    await heatmap({
      title: "Relative error of each matrix' own outputs",
      description: `For the inputs that the dense model has there.${left}`,
      ...axes,
      cells: of(({ own }) => own?.relativeError),
      unit: 'relative error',
    }),
  ];
}

function kindOf({ role, expert }: MatrixDamage): string {
  return expert === undefined ? role : `${role} of expert ${expert}`;
}

/** The matrices whose rows are clustered, those with the largest errors first, by cluster. */
function clusterChart({ clusters = [] }: Damage): Promise<Chart> {
  const worst = new Map<string, number>();
  for (const { weight, own } of clusters) worst.set(weight, Math.max(worst.get(weight) ?? 0, own.relativeError));
  const weights = [...worst].sort(([, left], [, right]) => right - left).map(([weight]) => weight);
  const rows = weights.slice(0, MAX_ROWS);
  const numbers = [...new Set(clusters.map(({ cluster }) => cluster))].sort((left, right) => left - right);
  const left = rows.length < weights.length ? ` The ${rows.length} worst of ${weights.length} matrices.` : '';
  return heatmap({
    title: 'Relative error of clusters of output rows',
    description: `Largest first; cluster −1 has the rows that no cluster took.${left}`,
    columns: { title: 'cluster', names: numbers.map(String) },
    rows: { title: 'matrix', names: rows },
    cells: clusters.flatMap(({ weight, cluster, own }) => {
      const row = rows.indexOf(weight);
      return row < 0 ? [] : [{ column: numbers.indexOf(cluster), row, value: own.relativeError }];
    }),
    unit: 'relative error',
  });
}

function blockTable({ blocks }: Damage): PageTable {
  return {
    caption: 'Blocks',
    header: ['block', 'error', 'own', 'inherited', 'own part', 'passes on', 'at the output', 'CKA', 'severity'],
    rows: blocks.map((block) => [
      String(block.block),
      shown(block.total.relativeError),
      shown(block.own.relativeError),
      shown(block.inherited),
      shown(block.ownShare),
      block.transmission === null ? '' : block.transmission.toFixed(2),
      shown(block.atOutput),
      block.total.cka === null ? '' : block.total.cka.toFixed(4),
      block.severity,
    ]),
  };
}

function queueTable({ queue }: Assessed): PageTable {
  const tasks = queue.slice(0, MAX_TASKS);
  return {
    caption: `What to heal first${tasks.length < queue.length ? `: ${tasks.length} of ${queue.length}` : ''}`,
    header: ['matrix', 'severity', 'damage', 'of the cost', 'priority', 'damage so far', 'cost so far'],
    rows: tasks.map((task) => [
      legible(task.weight),
      task.severity,
      shown(task.share),
      shown(task.costShare),
      task.priority.toFixed(2),
      shown(task.cumulativeShare),
      shown(task.cumulativeCost),
    ]),
  };
}

function shown(part: number): string {
  return `${(100 * part).toPrecision(3)} %`;
}
