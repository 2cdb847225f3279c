import { table } from './picture.js';
import { formatBytes } from './quantities.js';

/** What a search looks like to people; every field is also in its JSON. */
export interface ShownSearch {
  readonly gate: string;
  readonly passages: number;
  readonly dense: { readonly bytes: number };
  readonly rounds: readonly { readonly passages: number; readonly candidates: number }[];
  readonly tried: readonly ShownCandidate[];
  readonly impossible: readonly { readonly name: string; readonly reason: string }[];
  readonly best: { readonly name: string; readonly bytes: number; readonly size: number } | null;
  readonly interaction: {
    readonly alone: readonly { readonly name: string; readonly nats: number; readonly accuracyLoss: number }[];
    readonly together: { readonly nats: number; readonly accuracyLoss: number };
    readonly expectedNats: number;
    readonly extraNats: number;
    readonly expectedAccuracyLoss: number;
  } | null;
}

interface ShownCandidate {
  readonly name: string;
  readonly bytes: number;
  readonly size: number;
  readonly accuracyLoss: number;
  readonly perplexityRatio: number;
  readonly passages: number;
  readonly pass: boolean;
  readonly front: boolean;
}

/** The candidates by size, the front among them, and whether the best one's techniques get on with each other. */
export function renderSearch({ tried, impossible, rounds, best, interaction, gate, passages }: ShownSearch): string {
  const rows = tried.map((each) => [
    each.name,
    formatBytes(each.bytes),
    percent(each.size),
    percent(each.accuracyLoss, 2),
    `${each.perplexityRatio.toFixed(3)}x`,
    each.passages < passages ? `of ${each.passages}` : each.pass ? 'inside' : 'outside',
    each.front ? '*' : '',
  ]);
  const raced = rounds.map(({ candidates, passages: count }) => `${candidates} on ${count}`).join(', ');
  return [
    `gate ${gate}; candidates by passages: ${raced}`,
    '',
    table(rows, ['candidate', 'size', 'of dense', 'accuracy loss', 'perplexity', 'gate', 'front']),
    ...impossible.map(({ name, reason }) => `not made: ${name}: ${reason}`),
    '',
    best === null
      ? 'No candidate passed the gate on the whole text.'
      : `smallest    ${best.name}: ${formatBytes(best.bytes)}, ${percent(best.size)} of the dense model`,
    ...(interaction === null ? [] : renderInteraction(interaction)),
  ].join('\n');
}

function renderInteraction({
  alone,
  together,
  expectedNats,
  extraNats,
  expectedAccuracyLoss,
}: NonNullable<ShownSearch['interaction']>): string[] {
  const each = alone.map(({ name, nats, accuracyLoss }) => `${name} ${nats.toFixed(4)} (${percent(accuracyLoss, 2)})`);
  return [
    `alone       ${each.join('; ')}, in nats a token (and accuracy)`,
    `together    ${together.nats.toFixed(4)} nats (${percent(together.accuracyLoss, 2)}), where the sum is ${expectedNats.toFixed(4)} (${percent(expectedAccuracyLoss, 2)}): ${extraNats > 0 ? 'worse' : 'better'} than apart by ${Math.abs(extraNats).toFixed(4)}`,
  ];
}

function percent(fraction: number, digits = 1): string {
  return `${(100 * fraction).toFixed(digits)} %`;
}
