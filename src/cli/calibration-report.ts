import { sparkline, table } from './picture.js';
import { formatCount, formatPercent } from './quantities.js';

/** What a calibration set looks like to people; every field is also in its JSON. */
export interface ShownCalibration {
  readonly out: string;
  readonly sha256: string;
  readonly written: boolean;
  readonly context: number;
  readonly description: {
    readonly passages: number;
    readonly tokens: number;
    readonly sources: readonly ShownSource[];
    readonly lengths: readonly { readonly name: string; readonly passages: number; readonly tokens: number }[];
    readonly vocabulary: {
      readonly size: number;
      readonly inPool: number;
      readonly inSet: number;
      readonly tokenShare: number;
    };
    readonly activations?: {
      readonly sample: { readonly passages: number; readonly tokens: number };
      readonly mean: number;
      readonly reached: number;
      readonly blocks: readonly number[];
    };
  };
}

interface ShownSource {
  readonly name: string;
  readonly documents: number;
  readonly duplicates: { readonly exact: number; readonly near: number };
  readonly heldOut: number;
  readonly notRead: number;
  readonly pool: { readonly tokens: number };
  readonly chosen: { readonly passages: number; readonly tokens: number };
}

/** Where the set comes from, what was dropped, and what it covers. */
export function renderCalibration({ out, sha256, written, context, description }: ShownCalibration): string {
  const { passages, tokens, lengths, vocabulary, activations } = description;
  const header = [
    'source',
    'documents',
    'repeated',
    'nearly',
    'held out',
    'tokens to choose from',
    'chosen',
    'passages',
  ];
  return [
    table(description.sources.map(sourceRow), header),
    '',
    `set         ${formatCount(tokens)} tokens in ${formatCount(passages)} passages of up to ${context}`,
    `lengths     ${lengths.map(({ name, passages: count }) => `${name} ${count}`).join(', ')}`,
    `vocabulary  ${formatCount(vocabulary.inSet)} of the ${formatCount(vocabulary.inPool)} entries that the texts use, which are ${formatPercent(vocabulary.tokenShare)} of their tokens`,
    ...(activations === undefined ? [] : activationLines(activations)),
    `${written ? 'written' : 'would be'.padEnd(7)}     ${out}`,
    `sha256      ${sha256}`,
  ].join('\n');
}

function sourceRow({ name, documents, duplicates, heldOut, notRead, pool, chosen }: ShownSource): string[] {
  return [
    name,
    notRead === 0 ? formatCount(documents) : `${formatCount(documents)} of ${formatCount(documents + notRead)}`,
    formatCount(duplicates.exact),
    formatCount(duplicates.near),
    formatCount(heldOut),
    formatCount(pool.tokens),
    formatCount(chosen.tokens),
    formatCount(chosen.passages),
  ];
}

function activationLines({
  sample,
  mean,
  reached,
  blocks,
}: NonNullable<ShownCalibration['description']['activations']>) {
  return [
    `ranges      ${formatPercent(mean)} of those of ${formatCount(sample.passages)} passages; ${formatPercent(reached)} of the channels reach nine tenths`,
    `            ${sparkline(blocks, { min: 0, max: 1 })}  block by block`,
  ];
}
