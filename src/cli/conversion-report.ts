import { table } from './picture.js';
import { formatBytes } from './quantities.js';

/** Tensors that a table of changed values shows; --json has them all. */
const MAX_ROWS = 20;

interface Counts {
  readonly elements: number;
  readonly changed: number;
  readonly saturated: number;
  readonly zeroed: number;
  readonly nan: number;
}

/** What a conversion looks like to people; every field is also in its JSON. */
export interface ShownConversion {
  readonly out: string;
  readonly written: boolean;
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
  readonly mix?: string;
  readonly bitsPerWeight?: number;
  readonly tensors: readonly { readonly from: string; readonly to: string }[];
  readonly cast?: { readonly total: Counts; readonly tensors: Readonly<Record<string, Counts>> };
  readonly tokenizer?: { readonly texts: number; readonly differing: number };
  readonly lost: readonly string[];
}

/** A conversion for people: what was written, what a cast changed, what did not go along. */
export function renderConversion(conversion: ShownConversion): string {
  const { out, written, from, to, bytes, mix, bitsPerWeight, tensors, cast, tokenizer, lost } = conversion;
  const lines = [
    `${written ? 'wrote' : 'would write'}  ${out}: ${to}, ${formatBytes(bytes)} in ${tensors.length} tensors`,
    `from   ${from}, ${typesOf(conversion)}`,
    ...(mix === undefined ? [] : [`mix    ${mix}, ${bitsPerWeight?.toFixed(2)} bits a weight`]),
    ...(tokenizer === undefined
      ? []
      : [`tokens ${tokenizer.texts - tokenizer.differing} of ${tokenizer.texts} tried texts get the same ids`]),
    ...lost.map((sentence) => `note   ${sentence}`),
    ...(cast === undefined ? [] : renderCast(cast)),
  ];
  return lines.join('\n');
}

/** "38 tensors BF16 → F16, 18 tensors BF16 → F32". */
function typesOf({ tensors }: ShownConversion): string {
  const pairs = new Map<string, number>();
  for (const { from, to } of tensors) {
    const pair = from === to ? from : `${from} → ${to}`;
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
  }
  return [...pairs].map(([pair, count]) => `${count} ${count === 1 ? 'tensor' : 'tensors'} ${pair}`).join(', ');
}

function renderCast({ total, tensors }: NonNullable<ShownConversion['cast']>): string[] {
  const { elements, changed, saturated, zeroed, nan } = total;
  const lines = [
    `cast   ${changed === 0 ? 'none' : changed} of ${elements} values changed`,
    ...(saturated > 0 ? [`       ${saturated} were too large, and are the largest finite value now`] : []),
    ...(zeroed > 0 ? [`       ${zeroed} were too small, and are zero now`] : []),
    ...(nan > 0 ? [`       ${nan} are NaN, and stay so`] : []),
  ];
  const notable = Object.entries(tensors).filter(([, counts]) => counts.saturated + counts.zeroed + counts.nan > 0);
  if (notable.length === 0) return lines;
  const rows = notable
    .slice(0, MAX_ROWS)
    .map(([name, counts]) => [name, String(counts.saturated), String(counts.zeroed), String(counts.nan)]);
  const more = notable.length > MAX_ROWS ? [`and ${notable.length - MAX_ROWS} more tensors`] : [];
  return [...lines, '', table(rows, ['tensor', 'too large', 'too small', 'NaN']), ...more];
}
