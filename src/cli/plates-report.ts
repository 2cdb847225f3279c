import { table } from './picture.js';
import { formatBytes, formatCount } from './quantities.js';

interface ShownKind {
  readonly kind: string;
  readonly plates: number;
  readonly shed: number;
  readonly protected: number;
  readonly parameters: number;
  readonly bytes: number;
}

interface ShownPlate {
  readonly id: string;
  readonly status: string;
  readonly parameters: number;
  readonly bytes: number;
  readonly flops: number;
  readonly relative: number;
  readonly level?: number;
  readonly residual?: number;
  readonly foldsInto?: readonly string[];
  readonly protections: readonly { readonly reason: string; readonly why: string }[];
}

/** What of the command's result is shown. */
export interface ShownPlates {
  readonly model: string;
  readonly architecture: string;
  readonly metric: string;
  readonly kinds: readonly ShownKind[];
  readonly matching: number;
  readonly plates: readonly ShownPlate[];
  readonly wouldShed?: {
    readonly aggressiveness: number;
    readonly plates: number;
    readonly parameters: Readonly<Record<string, number>>;
  };
  readonly out?: string;
  readonly picture?: string;
}

/** Kinds at a glance, the list, and why each protected plate of the list stays. */
export function renderPlates(result: ShownPlates): string {
  const { model, architecture, metric, kinds, plates, matching, wouldShed, out, picture } = result;
  const lines = [
    `model     ${model}, ${architecture}`,
    `scores    ${metric}`,
    '',
    table(summarize(kinds), ['kind', 'plates', 'shed', 'protected', 'parameters', 'size']),
    '',
    table(plates.map(lineOf), ['plate', 'status', 'parameters', 'size', 'FLOPs', 'score', 'level', 'residual', 'why']),
  ];
  if (matching > plates.length)
    lines.push(`… ${matching - plates.length} more; --top ${matching} or --out FILE for all`);
  if (wouldShed !== undefined) {
    const parts = Object.entries(wouldShed.parameters).map(([kind, count]) => `${formatCount(count)} in ${kind}`);
    const what = parts.length === 0 ? 'nothing' : `${wouldShed.plates} plates: ${parts.join(', ')}`;
    lines.push('', `aggressiveness ${wouldShed.aggressiveness} would shed ${what}`);
  }
  if (out !== undefined) lines.push('', `plates    ${out}`);
  if (picture !== undefined) lines.push(`picture   ${picture}`);
  return lines.join('\n');
}

/** Blocks of a kind in one line: what the list is too long for. */
function summarize(kinds: readonly ShownKind[]): string[][] {
  const names = [...new Set(kinds.map(({ kind }) => kind))];
  return names.map((name) => {
    const own = kinds.filter(({ kind }) => kind === name);
    const sum = (key: 'plates' | 'shed' | 'protected' | 'parameters' | 'bytes') =>
      own.reduce((total, summary) => total + summary[key], 0);
    const [plates, shed, guarded] = [sum('plates'), sum('shed'), sum('protected')];
    return [
      name,
      String(plates),
      String(shed),
      String(guarded),
      formatCount(sum('parameters')),
      formatBytes(sum('bytes')),
    ];
  });
}

function lineOf(plate: ShownPlate): string[] {
  const { id, status, parameters, bytes, flops, relative, level, residual } = plate;
  const figures = [formatCount(parameters), formatBytes(bytes), formatCount(flops), relative.toPrecision(3)];
  const shown = [
    level === undefined ? 'never' : level.toFixed(3),
    residual === undefined ? '–' : residual.toPrecision(2),
  ];
  return [id, status, ...figures, ...shown, reasonOf(plate)];
}

/** Why it stays, or else what it could be folded into. */
function reasonOf({ protections: [first], foldsInto = [] }: ShownPlate): string {
  if (first !== undefined) return `${first.reason}: ${first.why}`;
  return foldsInto.length === 0 ? '' : `folds into ${foldsInto.join(', ')}`;
}
