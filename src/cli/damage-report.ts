import { sparkline, table } from './picture.js';
import { formatCount } from './quantities.js';

interface ShownDrift {
  readonly relativeError: number;
  readonly cka: number | null;
}

/** What of the command's result is shown. */
export interface ShownDamage {
  readonly model: string;
  readonly base: string;
  readonly text: { readonly name: string; readonly windows: number };
  readonly damage?: {
    readonly tokens: number;
    readonly blocks: readonly {
      readonly block: number;
      readonly total: ShownDrift;
      readonly own: ShownDrift;
      readonly ownShare: number;
      readonly atOutput: number;
      readonly severity: string;
    }[];
  };
  readonly queue?: readonly {
    readonly weight: string;
    readonly severity: string;
    readonly share: number;
    readonly costShare: number;
    readonly priority: number;
    readonly cumulativeShare: number;
    readonly cumulativeCost: number;
  }[];
  readonly out?: string;
  readonly picture?: string;
}

/** Lines of the queue; the files have all. */
const SHOWN_TASKS = 10;

/** The damage along the model, block by block, and what to heal first. */
export function renderDamage(result: ShownDamage): string {
  const { damage, queue = [], out, picture } = result;
  const files = [
    ...(out === undefined ? [] : [['damage', out]]),
    ...(picture === undefined ? [] : [['picture', picture]]),
  ];
  if (damage === undefined) {
    const asked = files.map(([kind, file]) => `would write the ${kind} to ${file}`);
    return [`would compare ${result.model} with ${result.base} on ${result.text.windows} windows`, ...asked].join('\n');
  }
  const { blocks, tokens } = damage;
  const errors = blocks.map(({ total }) => total.relativeError);
  const lines = [
    `model     ${result.model}, against ${result.base}`,
    `text      ${formatCount(tokens)} tokens of ${result.text.name}`,
    `error     ${sparkline(errors, { min: 0 })}  behind each block; ${percent(errors.at(-1)!)} behind the last`,
    '',
    table(blocks.map(blockLine), ['block', 'error', 'own', 'own part', 'at output', 'CKA', 'severity']),
    '',
    ...queueLines(queue),
    ...files.map(([kind, file]) => `${kind!.padEnd(9)} ${file}`),
  ];
  return lines.join('\n').trimEnd();
}

type ShownBlock = NonNullable<ShownDamage['damage']>['blocks'][number];
type ShownTask = NonNullable<ShownDamage['queue']>[number];

function blockLine({ block, total, own, ownShare, atOutput, severity }: ShownBlock): string[] {
  const cka = total.cka === null ? '–' : total.cka.toFixed(4);
  return [
    String(block),
    percent(total.relativeError),
    percent(own.relativeError),
    percent(ownShare),
    percent(atOutput),
    cka,
    severity,
  ];
}

function queueLines(queue: readonly ShownTask[]): string[] {
  if (queue.length === 0) return ['nothing to heal'];
  const first = queue.slice(0, SHOWN_TASKS);
  const rows = first.map(({ weight, severity, share, costShare, priority, cumulativeShare, cumulativeCost }) => [
    weight,
    severity,
    percent(share),
    percent(costShare),
    priority.toFixed(2),
    percent(cumulativeShare),
    percent(cumulativeCost),
  ]);
  const more = queue.length > first.length ? [`… ${queue.length - first.length} more; --out FILE for all`] : [];
  const header = ['heal first', 'severity', 'damage', 'cost', 'priority', 'damage so far', 'cost so far'];
  return [table(rows, header), ...more, ''];
}

function percent(part: number): string {
  return `${(100 * part).toFixed(Math.abs(part) < 0.1 ? 2 : 1)} %`;
}
