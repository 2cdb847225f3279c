import { type ForetoldWave, foretoldLines } from './foretold-lines.js';
import { healingLines } from './healing-lines.js';
import { bar, sparkline, table } from './picture.js';
import { formatBytes, formatCount, formatPercent } from './quantities.js';
import { stateText } from './state-text.js';
import { deedText, storedText } from './wave-deed.js';

/** What a finished run looks like to people; every field is also in its JSON. */
export interface ShownRun {
  readonly out: string;
  readonly manifest: string;
  readonly diff: { readonly json: string; readonly markdown: string };
  readonly baseline: Readonly<Record<string, number>>;
  readonly result: Readonly<Record<string, number>>;
  readonly waves: readonly ShownWave[];
  readonly at: Parameters<typeof stateText>[0];
  readonly sparsity: number;
  readonly reached: boolean;
  /** Why it ended. */
  readonly reason?: string;
  readonly layers: readonly LayerSparsity[];
  readonly techniques?: readonly ShownTechnique[];
}

/** What one step has bought. */
export interface ShownTechnique {
  readonly do: string;
  readonly kept: number;
  readonly tried: number;
  readonly bytes: { readonly before: number; readonly after: number };
  readonly figures?: { readonly accuracyLoss?: number; readonly perplexityRatio?: number };
}

export interface ShownWave {
  readonly wave: number;
  readonly sparsity: number;
  readonly verdict: 'committed' | 'rolled-back';
  readonly active: boolean;
  readonly reason: string;
  readonly figures: Readonly<Record<string, number>>;
  readonly blocks?: { readonly errors: readonly number[]; readonly startsAt: number | null };
  readonly effectiveness?: { readonly perAccuracyPoint: number | null };
  readonly foretold?: NonNullable<ForetoldWave['foretold']>;
  readonly warnings?: readonly { readonly reason: string }[];
  readonly details?: Readonly<Record<string, readonly object[]>> | undefined;
}

/** The waves, the sparsity of every matrix, what it cost, and where the evidence lies. */
export function renderRun(run: ShownRun): string {
  return [
    renderWaves(run.waves, run.baseline, { at: run.at, needsReason: (wave) => wave.verdict === 'rolled-back' }),
    '',
    ...renderLayers(run.layers),
    '',
    ...outcomeLines(run),
    ...['accuracy', 'perplexity'].flatMap((name) => change(name, run.baseline[name], run.result[name])),
    ...renderTechniques(run.techniques ?? []),
    '',
    `model       ${run.out}`,
    `manifest    ${run.manifest}`,
    `diff        ${run.diff.markdown}`,
    `            ${run.diff.json}`,
  ].join('\n');
}

/** What weights went, and what is stored otherwise; of a run that only does the latter, that alone. */
function outcomeLines(run: ShownRun): string[] {
  const stored = run.waves
    .filter(({ active }) => active)
    .map(storedText)
    .filter((text) => text !== undefined);
  const lines = [
    ...(run.sparsity > 0 || stored.length === 0 ? [`sparsity    ${formatPercent(run.sparsity)}`] : []),
    ...stored.map((text) => `stored      ${text}`),
  ];
  return [`${lines[0]}${shortfall(run)}`, ...lines.slice(1)];
}

/** Step by step: what is left of the size, and what it has cost so far against the dense model. */
function renderTechniques(techniques: readonly ShownTechnique[]): string[] {
  const [first] = techniques;
  if (first === undefined) return [];
  const dense = first.bytes.before;
  const rows = techniques.map(({ do: name, kept, tried, bytes, figures }) => [
    name,
    `${kept} of ${tried}`,
    formatBytes(bytes.after),
    formatPercent(bytes.after / dense),
    show(figures?.accuracyLoss, formatPercent2),
    show(figures?.perplexityRatio, (ratio) => `${ratio.toFixed(3)}x`),
  ]);
  const header = ['step', 'waves kept', 'size after', 'of dense', 'accuracy loss', 'perplexity'];
  return ['', table(rows, header)];
}

/** Why the target was not reached: somebody took waves back, or the gate did. */
function shortfall({ reached, reason = 'the gate let nothing more go', waves, at }: ShownRun): string {
  if (reached) return '';
  const isTakenBack = at.tensors.length > 0 || waves.some((wave) => wave.verdict === 'committed' && !wave.active);
  return isTakenBack ? `, taken back to ${stateText(at)}` : `, short of the target: ${reason}`;
}

interface WavesOptions {
  /** Where the output stands. */
  readonly at: ShownRun['at'];
  readonly needsReason?: (wave: ShownWave) => boolean;
}

function verdictText({ wave, verdict, active }: ShownWave, at: ShownRun['at']): string {
  if (verdict === 'rolled-back') return 'rolled back';
  if (!active) return 'undone';
  const isInAll = wave <= at.wave && at.tensors.every(([, last]) => wave <= last);
  return isInAll ? 'kept' : 'kept in part';
}

/** A table of waves with the metric after each one as a line, dense first; the reason is given of those that need one. */
export function renderWaves(
  waves: readonly ShownWave[],
  baseline: Readonly<Record<string, number>>,
  { at, needsReason = () => true }: WavesOptions,
): string {
  const monitors = MONITORS.filter(({ text }) => waves.some((wave) => text(wave) !== undefined));
  const storesOtherwise = waves.some((wave) => storedText(wave) !== undefined);
  const rows = waves.map((wave) => [
    String(wave.wave),
    storesOtherwise ? deedText(wave) : formatPercent(wave.sparsity),
    show(wave.figures['accuracy'], formatPercent2),
    show(wave.figures['perplexity'], (value) => value.toFixed(2)),
    ...monitors.map(({ text }) => text(wave) ?? '–'),
    verdictText(wave, at),
    needsReason(wave) ? wave.reason : '',
  ]);
  const dense = [
    'dense',
    storesOtherwise ? '' : '0.0 %',
    show(baseline['accuracy'], formatPercent2),
    show(baseline['perplexity'], (value) => value.toFixed(2)),
    ...monitors.map(() => '–'),
    '',
    '',
  ];
  const deed = storesOtherwise ? 'what it did' : 'sparsity';
  const header = ['wave', deed, 'accuracy', 'perplexity', ...monitors.map(({ name }) => name), '', ''];
  const lines = [table([dense, ...rows], header)];
  for (const name of ['accuracy', 'perplexity']) {
    const values = [baseline[name], ...waves.map((wave) => wave.figures[name])].filter((value) => value !== undefined);
    if (values.length > 1) lines.push(`${name.padEnd(10)}  ${sparkline(values)}`);
  }
  return [...lines, ...blocksLine(waves), ...foretoldLines(waves), ...healingLines(waves), ...warningLines(waves)].join(
    '\n',
  );
}

/** A column of the table of waves that is there when some wave has something in it. */
interface MonitorColumn {
  readonly name: string;
  readonly text: (wave: ShownWave) => string | undefined;
}

const MONITORS: readonly MonitorColumn[] = [
  { name: 'KL', text: ({ figures }) => figures['kl']?.toFixed(4) },
  { name: 'same top', text: ({ figures }) => optional(figures['agreement'], formatPercent) },
  {
    // Parameters that went for each percentage point of accuracy.
    name: 'shed/point',
    text: ({ effectiveness }) => {
      if (effectiveness === undefined) return undefined;
      const { perAccuracyPoint } = effectiveness;
      return perAccuracyPoint === null ? 'no loss' : formatCount(Math.round(perAccuracyPoint));
    },
  },
];

function optional(value: number | undefined, format: (value: number) => string): string | undefined {
  return value === undefined ? undefined : format(value);
}

/** The output error of each block after the last wave that was kept; after the last of all where none was. */
function blocksLine(waves: readonly ShownWave[]): string[] {
  const measured = waves.filter(({ blocks }) => blocks !== undefined);
  const wave = measured.findLast(({ active }) => active) ?? measured.at(-1);
  if (wave?.blocks === undefined) return [];
  const { errors, startsAt } = wave.blocks;
  const [least, most] = [Math.min(...errors), Math.max(...errors)].map((error) => formatPercent(error));
  const start = startsAt === null ? '' : `; damage starts in block ${startsAt}`;
  return [
    `blocks      ${sparkline(errors, { min: 0 })}  output error ${least} to ${most} after wave ${wave.wave}${start}`,
  ];
}

function warningLines(waves: readonly ShownWave[]): string[] {
  return waves.flatMap(({ wave, warnings = [] }) =>
    warnings.map(({ reason }) => `warning     wave ${wave}: ${reason}`),
  );
}

interface LayerSparsity {
  readonly name: string;
  readonly elements: number;
  readonly sparsity: number;
}

/** A bar for each block, the part of its elements that is removed, and one mark for each of its tensors beside it. */
function renderLayers(layers: readonly LayerSparsity[]): string[] {
  const groups = new Map<string, LayerSparsity[]>();
  for (const layer of layers) {
    const block = /^(.*?\.\d+)\./.exec(layer.name)?.[1] ?? layer.name;
    groups.set(block, [...(groups.get(block) ?? []), layer]);
  }
  const width = Math.max(0, ...[...groups.keys()].map((name) => name.length));
  return [...groups].map(([name, parts]) => {
    const sum = (value: (part: LayerSparsity) => number) => parts.reduce((total, part) => total + value(part), 0);
    const removed = sum(({ elements, sparsity }) => elements * sparsity) / sum(({ elements }) => elements);
    const marks = sparkline(
      parts.map(({ sparsity }) => sparsity),
      { min: 0, max: 1 },
    );
    return `${name.padEnd(width)}  ${bar(removed, 24)}  ${formatPercent(removed)}  ${marks}`;
  });
}

function change(name: string, before: number | undefined, now: number | undefined): string[] {
  if (before === undefined) return [];
  const shown = name === 'accuracy' ? formatPercent2 : (value: number) => value.toFixed(2);
  if (now === undefined) return [`${name.padEnd(12)}${shown(before)} → not measured for this mix of waves`];
  const relative = (now / before - 1) * 100;
  return [`${name.padEnd(12)}${shown(before)} → ${shown(now)} (${relative >= 0 ? '+' : ''}${relative.toFixed(2)} %)`];
}

function show(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? '–' : format(value);
}

function formatPercent2(fraction: number): string {
  return formatPercent(fraction, 2);
}
