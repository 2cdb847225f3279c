import { type TargetRules, widthMultiple } from '../../plates/index.js';

/** The engine that a shed model is made for, and over how many devices it splits it. */
export interface Target {
  readonly rules: TargetRules;
  /** `--tp`. */
  readonly shards: number;
}

/** In which steps a width may shrink so that the engine takes what is left. */
export interface Step {
  /** What stays is a multiple of this. */
  readonly step: number;
  /** What it costs that the engine's own multiple is not kept. */
  readonly notice?: string;
}

/**
 * The step of a width (of a network, of the residual stream). Where a width is no multiple of the engine's to begin with, or has
 * none below it, the engine's fallback is the step, with a notice of what it costs.
 */
export function widthStep({ rules, shards }: Target, width: number): Step {
  const multiple = widthMultiple(rules, shards);
  const { fallback } = rules;
  if (fallback === undefined || (width % multiple === 0 && width > multiple)) return { step: multiple };
  const why = width % multiple === 0 ? `there is no multiple of ${multiple} below ${width}` : `${width} is none`;
  return {
    step: fallback.multiple,
    notice: `Widths are multiples of ${fallback.multiple} and not of ${multiple}, since ${why}: in ${rules.name} ${fallback.cost}.`,
  };
}

/**
 * The step of a block's KV groups: engines that split heads over devices want the same number on each, and the rows of the output
 * projection (`groupColumns` for each group) are a width as any other. Groups themselves are whole.
 */
export function groupStep(target: Target, { groups, groupColumns }: { groups: number; groupColumns: number }): Step {
  const { rules, shards } = target;
  if (rules.sharded) return { step: shards };
  const { step, notice } = widthStep(target, groups * groupColumns);
  const whole = wholeGroups(step, groupColumns);
  if (notice !== undefined || whole < groups) return { step: Math.min(whole, groups), ...(notice && { notice }) };
  // No fewer groups fill the engine's multiple: its fallback is the smaller evil.
  const multiple = rules.fallback?.multiple ?? 1;
  const cost = rules.fallback?.cost ?? 'its kernels take other paths';
  return {
    step: Math.min(wholeGroups(multiple, groupColumns), groups),
    notice: `Fewer than ${groups} KV groups have no multiple of ${step} columns, but of ${multiple}: in ${rules.name} ${cost}.`,
  };
}

/** The fewest groups whose columns are together a multiple of `step`. */
function wholeGroups(step: number, groupColumns: number): number {
  let groups = 1;
  while ((groups * groupColumns) % step !== 0) groups += 1;
  return groups;
}

/**
 * How much of a width stays when about `wanted` should: the nearest multiple of the step, the larger of equally near ones, at
 * least one step and never more than there is.
 */
export function nearestKept(width: number, wanted: number, step: number): number {
  const kept = Math.max(step, Math.floor(wanted / step + 0.5) * step);
  return Math.min(width, kept);
}
