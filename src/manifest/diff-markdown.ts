import type { DiffReport, FieldChange, TensorDiff, TensorSide, ValueDiff } from './diff-report.js';

/**
 * A diff as a Markdown page: totals first, then one table of the changed tensors (largest relative error on top) and one of those
 * that were reshaped, added or removed. Identical tensors are counted, not listed. Names from the files are escaped.
 */
export function renderDiffMarkdown(diff: DiffReport): string {
  const others = diff.tensors.filter(
    ({ status }) => status === 'reshaped' || status === 'added' || status === 'removed',
  );
  const sections = [
    `# ${code(diff.before.name)} → ${code(diff.after.name)}`,
    totals(diff),
    summary(diff),
    section('Changed tensors', changedTable(diff.tensors.filter(({ status }) => status === 'changed'))),
    section('Reshaped, added and removed tensors', layoutTable(others)),
    section('Config and metadata', fieldTable(diff.fields)),
  ];
  return `${sections.filter((part) => part !== '').join('\n\n')}\n`;
}

function section(title: string, content: string): string {
  return content === '' ? '' : `## ${title}\n\n${content}`;
}

function totals({ before, after }: DiffReport): string {
  return table(
    ['', 'before', 'after'],
    [
      ['tensors', count(before.tensors), count(after.tensors)],
      ['parameters', count(before.parameters), count(after.parameters)],
      ['size', bytes(before.bytes), bytes(after.bytes)],
    ],
  );
}

function summary(diff: DiffReport): string {
  if (diff.identical)
    return `All ${count(diff.counts.identical)} tensors are identical, and so are config and metadata.`;
  const counts = Object.entries(diff.counts).filter(([, number]) => number > 0);
  const lines = [`Tensors: ${counts.map(([status, number]) => `${count(number)} ${status}`).join(', ')}.`];
  if (diff.values !== null) {
    const [changed, sparsity, error, cosine, largest] = valueCells(diff.values);
    lines.push(
      `The changed tensors together: ${changed} of the elements changed, sparsity ${sparsity}, relative error ${error}, cosine ${cosine}, largest change ${largest}.`,
    );
  }
  return lines.join('\n');
}

function changedTable(tensors: readonly TensorDiff[]): string {
  const error = ({ values }: TensorDiff) => (values === null ? -1 : (values.relativeError ?? Number.POSITIVE_INFINITY));
  const order = [...tensors].sort((left, right) => error(right) - error(left) || (left.name < right.name ? -1 : 1));
  const nonFinite = order.some(({ values }) => values !== null && values.nonFiniteBefore + values.nonFiniteAfter > 0);
  const header = [
    'tensor',
    'dtype',
    'shape',
    'size',
    'changed',
    'sparsity',
    'relative error',
    'cosine',
    'largest change',
  ];
  return table(
    nonFinite ? [...header, 'not finite'] : header,
    order.map((tensor) => {
      const cells = tensor.values === null ? ['yes', '–', '–', '–', '–'] : valueCells(tensor.values);
      const row = [code(tensor.name), dtypes(tensor), shape(tensor.before!), bytes(tensor.after!.bytes), ...cells];
      return nonFinite ? [...row, nonFiniteCell(tensor.values)] : row;
    }),
  );
}

function layoutTable(tensors: readonly TensorDiff[]): string {
  const side = (info: TensorSide | null) =>
    info === null ? '–' : `${info.dtype} ${shape(info)}, ${bytes(info.bytes)}`;
  return table(
    ['tensor', '', 'before', 'after'],
    tensors.map(({ name, status, before, after }) => [code(name), status, side(before), side(after)]),
  );
}

function fieldTable(fields: readonly FieldChange[]): string {
  return table(
    ['where', 'key', 'before', 'after'],
    fields.map(({ where, key, before, after }) => [where, code(key), field(before), field(after)]),
  );
}

function valueCells(values: ValueDiff): string[] {
  return [
    values.changed === 0 ? 'none' : percent(values.fractionChanged),
    `${percent(values.sparsityBefore)} → ${percent(values.sparsityAfter)}`,
    figure(values.relativeError),
    figure(values.cosine),
    figure(values.maxAbsoluteChange),
  ];
}

function nonFiniteCell(values: ValueDiff | null): string {
  return values === null ? '–' : `${count(values.nonFiniteBefore)} → ${count(values.nonFiniteAfter)}`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

function dtypes({ before, after }: TensorDiff): string {
  return before!.dtype === after!.dtype ? before!.dtype : `${before!.dtype} → ${after!.dtype}`;
}

function shape(info: TensorSide): string {
  return info.shape.length === 0 ? 'scalar' : info.shape.join(' × ');
}

function percent(fraction: number): string {
  // Three digits would call 0.99999 "100 %", which reads as "all".
  const digits = fraction > 0.999 && fraction < 1 ? 5 : 3;
  return `${figure(100 * fraction, digits)} %`;
}

function figure(value: number | null, digits = 4): string {
  return value === null ? '–' : String(Number(value.toPrecision(digits)));
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = value === 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return `${figure(value / 1000 ** power, 3)} ${units[power]}`;
}

/** A value from a config, cut where it would make the table unreadable. */
function field(value: unknown): string {
  if (value === null) return '–';
  const json = JSON.stringify(value);
  return code(json.length > 60 ? `${json.slice(0, 59)}…` : json);
}

/** Text from a file as a code span that neither ends the table's cell nor reaches a terminal as an escape sequence. */
function code(value: string): string {
  const shown = value
    .replace(
      /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
      (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`,
    )
    .replaceAll('|', '\\|')
    .replaceAll('`', "'");
  return `\`${shown}\``;
}
