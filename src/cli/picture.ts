const EIGHTHS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const PARTS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** One character a value, its height between the lowest and the highest value, or the bounds that are given. */
export function sparkline(
  values: readonly number[],
  bounds: { readonly min?: number; readonly max?: number } = {},
): string {
  const finite = values.filter(Number.isFinite);
  const min = bounds.min ?? Math.min(...finite);
  const max = bounds.max ?? Math.max(...finite);
  return values.map((value) => level(value, min, max)).join('');
}

function level(value: number, min: number, max: number): string {
  if (!Number.isFinite(value)) return '?';
  const height = max > min ? (value - min) / (max - min) : 0;
  const index = Math.min(EIGHTHS.length - 1, Math.max(0, Math.floor(height * EIGHTHS.length)));
  return EIGHTHS[index] ?? '';
}

/** A horizontal bar of `width` cells, filled to `fraction` (0 to 1) in eighths of a cell. */
export function bar(fraction: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, fraction)) * width * 8);
  const filled = '█'.repeat(Math.floor(eighths / 8)) + (PARTS[eighths % 8] ?? '');
  return filled.padEnd(width, '·');
}

/** Rows as aligned columns, two spaces apart; numbers (and what looks like one) to the right. No trailing blanks. */
export function table(rows: readonly (readonly string[])[], header?: readonly string[]): string {
  const all = header === undefined ? rows : [header, ...rows];
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const rightAligned = widths.map((_, column) => rows.length > 0 && rows.every((row) => isNumeric(row[column] ?? '')));
  return all
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return rightAligned[column] ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function isNumeric(cell: string): boolean {
  return /^[-+]?[\d.,]*(e[-+]?\d+)?( ?%| ?x| ?[KMGTB]B?)?$/.test(cell) || cell === '–';
}
