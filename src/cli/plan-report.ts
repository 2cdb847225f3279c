import { formatBytes, formatCount, formatDuration, formatPercent } from './quantities.js';

/** What a plan looks like to people; every field is also in its JSON. */
export interface ShownPlan {
  readonly out: string;
  readonly device: string;
  readonly recipe: {
    readonly model: string;
    readonly steps: readonly {
      readonly do: string;
      readonly metric?: string;
      readonly pattern?: string | undefined;
      /** Of a quantizing step: what goes in the same sweep. */
      readonly sparsity?: number | undefined;
      readonly solver?: string | undefined;
      readonly plates?: string | undefined;
      readonly scheme?: string | undefined;
      readonly algorithm?: string | undefined;
      readonly ratio?: number | undefined;
      readonly energy?: number | undefined;
      readonly rank?: number | 'full' | undefined;
      readonly steps?: number | undefined;
      readonly minutes?: number | undefined;
      readonly heal?: ShownHealing | undefined;
    }[];
  };
  readonly model: {
    readonly architecture: string;
    readonly blocks: number;
    readonly parameters: number;
    readonly prunable: number;
  };
  readonly texts: { readonly calibrationTokens: number; readonly evaluationTokens: number };
  readonly waves: readonly (readonly number[])[];
  readonly adaptive?: readonly (ShownBounds | null)[];
  readonly rankedBy: readonly (string | null)[];
  readonly memoryBytes: {
    readonly block: number;
    readonly batch: number;
    readonly hiddenStates: number;
    readonly resident: number;
    readonly spilled: number;
    readonly grams: number;
    readonly host: number;
    readonly gpu?: number;
  };
  readonly diskBytes: { readonly result: number; readonly layers: number; readonly free: number };
  readonly time: { readonly seconds: number; readonly mostSeconds?: number };
  readonly obstacle?: string;
}

/** How much is healed: the fields of a step that heals, or of one that is healed. */
interface ShownHealing {
  readonly rank?: number | 'full' | undefined;
  readonly steps?: number | undefined;
  readonly minutes?: number | undefined;
}

/** Within which bounds an adaptive step goes. */
interface ShownBounds {
  readonly minStep: number;
  readonly maxStep: number;
  readonly fewestWaves: number;
  readonly mostWaves: number;
  readonly maxFailures: number;
  readonly backOff: number;
}

function boundsText(bounds: ShownBounds): string {
  const { minStep, maxStep, fewestWaves, mostWaves, maxFailures, backOff } = bounds;
  return [
    `adaptive: these are the waves if nothing is lost; ${fewestWaves} to ${mostWaves} of them, in steps of ${formatPercent(minStep)} to ${formatPercent(maxStep)}`,
    `each failure divides the step by ${backOff}; ${maxFailures} in a row end it`,
  ].join(`\n${' '.repeat(12)}`);
}

function stepText(step: ShownPlan['recipe']['steps'][number], targets: string, rankedBy: string | null): string {
  const { pattern, solver, scheme, algorithm, plates } = step;
  if (step.do === 'heal') return healingText(step);
  if (step.do === 'factorize') return `factorize by ${algorithm ?? 'whitened'} SVD to ${thinness(step)}`;
  if (step.do === 'quantize') {
    const removing = [pattern, step.sparsity && `${100 * step.sparsity} %`].filter(Boolean).join(', ');
    const how = `${algorithm === undefined ? '' : ` by ${algorithm}`}${removing && `, removing ${removing} on the way`}`;
    return `quantize to ${scheme ?? 'a budget'}${how}`;
  }
  const healed = step.heal === undefined ? '' : `; each wave: ${healingText(step.heal)}`;
  if (rankedBy === null) return `shed ${plates}: ${targets}${healed}`;
  const corrected = solver === undefined || solver === rankedBy ? '' : `, solver ${solver}`;
  return `${step.do} by ${rankedBy}, ${pattern}${corrected}: ${targets}${healed}`;
}

function healingText({ rank, steps, minutes }: ShownHealing): string {
  const what =
    rank === 'full' ? 'the weights that are left' : `adapters${rank === undefined ? '' : ` of rank ${rank}`}`;
  const much = steps === undefined ? `${minutes ?? 5} minutes` : `${formatCount(steps)} steps`;
  return `heal by ${what}, ${much}`;
}

function thinness({ ratio, energy, rank }: ShownPlan['recipe']['steps'][number]): string {
  if (rank !== undefined) return `rank ${rank}`;
  return energy === undefined ? `${formatPercent(1 - (ratio ?? 0))} of the parameters` : `${energy} of the energy`;
}

function memoryText({ host, gpu, block, hiddenStates, resident, spilled, grams }: ShownPlan['memoryBytes']): string {
  const parts = [
    `${formatBytes(block)} for a block`,
    ...(grams > 0 ? [`${formatBytes(grams)} for Gram matrices`] : []),
    `${formatBytes(hiddenStates)} of hidden states${placesText(resident, spilled)}`,
  ];
  const onGpu = gpu === undefined ? '' : `, and ${formatBytes(gpu)} of the GPU's`;
  return `about ${formatBytes(host)} at most${onGpu}; ${parts.join(', ')}`;
}

/** Where hidden states are that are not all in memory. */
function placesText(resident: number, spilled: number): string {
  if (resident === 0) return spilled > 0 ? ', on disk' : '';
  return spilled > 0 ? `, ${formatBytes(resident)} on the GPU and ${formatBytes(spilled)} on disk` : ', on the GPU';
}

/** What a run would do and take. Nothing has been written. */
export function renderPlan({
  out,
  device,
  recipe,
  model,
  texts,
  waves,
  adaptive,
  rankedBy,
  memoryBytes,
  diskBytes,
  time,
  obstacle,
}: ShownPlan): string {
  const needed = diskBytes.result + diskBytes.layers + memoryBytes.spilled;
  return [
    `model       ${recipe.model}: ${model.architecture}, ${model.blocks} blocks, ${formatCount(model.parameters)} parameters, ${formatCount(model.prunable)} of them prunable`,
    ...recipe.steps.flatMap((step, index) => {
      const targets = (waves[index] ?? []).map((target) => formatPercent(target)).join(' → ');
      const bounds = adaptive?.[index] ?? null;
      return [
        `step ${String(index + 1).padEnd(6)} ${stepText(step, targets, rankedBy[index] ?? null)}`,
        ...(bounds === null ? [] : [`${' '.repeat(12)}${boundsText(bounds)}`]),
      ];
    }),
    `text        ${formatCount(texts.calibrationTokens)} tokens to calibrate on, ${formatCount(texts.evaluationTokens)} to measure on`,
    `device      ${device}`,
    `time        about ${formatDuration(time.seconds)}, if no wave is rolled back${time.mostSeconds === undefined ? '' : ` and nothing is lost; at most ${formatDuration(time.mostSeconds)}`}`,
    `memory      ${memoryText(memoryBytes)}`,
    `disk        ${formatBytes(needed)} of ${formatBytes(diskBytes.free)} that are free`,
    `output      ${out} (nothing is written yet)`,
    ...(obstacle === undefined ? [] : [`obstacle    ${obstacle}`]),
  ].join('\n');
}
