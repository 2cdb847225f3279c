import type { Damage, Drift, HealingTask } from '../damage/index.js';
import type { AssessHeader } from './options.js';

/** What the files hold. */
export interface Assessed extends AssessHeader {
  readonly damage: Damage;
  readonly queue: readonly HealingTask[];
}

/** Everything as JSON, a block, a matrix, a cluster and a task of the queue a line. The same damage gives the same bytes. */
export function damageJson({ damage, queue, ...header }: Assessed): string {
  const { passages, tokens, blocks, matrices, clusters } = damage;
  const lists: [string, readonly object[]][] = [
    ['blocks', blocks],
    ['matrices', matrices],
    ...(clusters === undefined ? [] : [['clusters', clusters] as [string, readonly object[]]]),
    ['queue', queue],
  ];
  const head = JSON.stringify({ ...header, passages, tokens }).slice(1, -1);
  const parts = lists.map(([name, items]) => {
    return `"${name}":[\n${items.map((item) => JSON.stringify(item)).join(',\n')}\n]`;
  });
  return `{"damage":1,${head},${parts.join(',')}}\n`;
}

const COLUMNS = [
  'kind',
  'block',
  'weight',
  'cluster',
  'rows',
  'columns',
  'severity',
  'at_output',
  'own_error',
  'own_cosine',
  'own_cka',
  'total_error',
  'total_cosine',
  'total_cka',
  'inherited',
  'own_share',
  'transmission',
  'effect',
  'rank',
  'priority',
] as const;
type Line = Partial<Record<(typeof COLUMNS)[number], string | number | null>>;

/** A line for each block, matrix and cluster; what does not apply is empty. */
export function damageCsv({ damage, queue }: Assessed): string {
  const ranks = new Map(queue.map((task) => [task.weight, task]));
  const lines: Line[] = [
    ...damage.blocks.map((block): Line => {
      const { severity, atOutput, inherited, ownShare, transmission } = block;
      const figures = { severity, at_output: atOutput, inherited, own_share: ownShare, transmission };
      return { kind: 'block', block: block.block, ...figures, ...driftsOf(block) };
    }),
    ...damage.matrices.map((matrix): Line => {
      const { block, weight, rows, columns, severity, atOutput, effect } = matrix;
      const { rank, priority } = ranks.get(weight) ?? {};
      const place = {
        kind: 'matrix',
        block,
        weight: quoted(weight),
        rows,
        columns,
        severity,
        at_output: atOutput,
        effect,
      };
      return { ...place, ...driftsOf(matrix), rank: rank ?? null, priority: priority ?? null };
    }),
    ...(damage.clusters ?? []).map((found): Line => {
      const { block, weight, cluster, rows, share } = found;
      return { kind: 'cluster', block, weight: quoted(weight), cluster, rows, own_share: share, ...driftsOf(found) };
    }),
  ];
  const text = lines.map((line) => COLUMNS.map((column) => line[column] ?? '').join(','));
  return `${[COLUMNS.join(','), ...text].join('\n')}\n`;
}

function driftsOf({ own, total }: { readonly own: Drift | null; readonly total: Drift | null }): Line {
  return {
    own_error: own?.relativeError ?? null,
    own_cosine: own?.cosine ?? null,
    own_cka: own?.cka ?? null,
    total_error: total?.relativeError ?? null,
    total_cosine: total?.cosine ?? null,
    total_cka: total?.cka ?? null,
  };
}

/** A tensor name comes from a file, which may put anything in it. */
function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
