import { BirdboneError } from '../errors.js';
import type { Model } from '../model/index.js';
import {
  type ChannelActivity,
  KINDS_OF_BLOCKS,
  LAST_PLATE,
  type Marks,
  type PlateGraph,
  type PlateKind,
  type PlateRange,
  type Protection,
  protectAlways,
  protectBoundary,
  protectLast,
  protectOutliers,
  TARGETS,
  type TargetName,
  widthMultiple,
} from '../plates/index.js';
import { refuseUncuttable } from '../shedding/index.js';
import type { ScoredRange } from './ranked.js';

export interface ProtectionOptions {
  readonly first: number;
  readonly last: number;
  readonly target?: TargetName;
  readonly shards: number;
}

/**
 * Everything that protects plates of a model: critical pathways first, then what shedding would break. Nothing is read of the
 * weights.
 */
export async function protectPlates(
  model: Model,
  graph: PlateGraph,
  found: {
    readonly ranked: readonly ScoredRange[];
    readonly activities: readonly ChannelActivity[];
    readonly shed: Marks;
  },
  options: ProtectionOptions,
): Promise<Protection[]> {
  const { target, first, last } = options;
  const kinds = [...new Set(found.ranked.map(({ range }) => range.kind))];
  // Blocks of a uniform model all give the same number: the first and last ones, too.
  const inside = target === undefined || TARGETS[target].unequalBlocks !== undefined;
  return [
    ...protectBoundary(graph, { first, last, inside }),
    ...strongestOf(found.activities.flatMap(protectOutliers)),
    ...(await protectShapes(model, graph, kinds, found.shed)),
    ...protectLast(graph, found.ranked, { ...LAST_PLATE, kinds }),
    ...targetRules(options).flatMap((rule) => protectLast(graph, found.ranked, rule)),
  ];
}

/** A dimension may stand out before many blocks: said once, of the block where it does most. */
function strongestOf(outliers: readonly Protection[]): Protection[] {
  const byPlate = new Map<string, Protection>();
  for (const outlier of outliers) {
    const { kind, block, start } = outlier.plates;
    const key = `${kind}:${block}:${start}`;
    const known = byPlate.get(key);
    if (known === undefined || known.release < outlier.release) byPlate.set(key, outlier);
  }
  return [...byPlate.values()];
}

/**
 * What no config.json could say of the model that is left: asked of the code that cuts it. Of kinds that lie in blocks one plate of
 * every block is tried together, as all configs can say equal blocks best; sub-blocks and blocks are tried one by one.
 */
async function protectShapes(
  model: Model,
  graph: PlateGraph,
  kinds: readonly PlateKind[],
  shed: Marks,
): Promise<Protection[]> {
  const found: Protection[] = [];
  for (const kind of kinds) {
    const ranges = graph.ranges(kind);
    for (const group of KINDS_OF_BLOCKS.includes(kind) ? ranges.map((range) => [range]) : [ranges]) {
      const why = await whyUncuttable(model, graph, group, shed);
      if (why !== undefined) found.push(...protectAlways(group, 'shape', why));
    }
  }
  return found;
}

/** What the cutter says to the first plate of each family of the ranges; undefined when it would cut them. */
async function whyUncuttable(
  model: Model,
  graph: PlateGraph,
  ranges: readonly PlateRange[],
  shed: Marks,
): Promise<string | undefined> {
  const firsts = ranges.flatMap((range) => {
    const families = range.kind === 'ffn-channel' ? graph.families(range.kind, range.block!) : [range];
    return families.map(({ start }) => ({ ...range, start, count: 1 }));
  });
  try {
    await refuseUncuttable(model, shed.with(firsts));
    return undefined;
  } catch (error) {
    if (error instanceof BirdboneError && error.code === 'unsupported') return error.message;
    throw error;
  }
}

function targetRules({ target, shards }: ProtectionOptions) {
  if (target === undefined) return [];
  const rules = TARGETS[target];
  const multiple = widthMultiple(rules, shards);
  const why = (kept: number, of: number, by: number) =>
    kept === of
      ? `${of} have no smaller multiple of ${by}, which ${target} wants: ${rules.reason}`
      : `it is among the ${kept} of ${of} with the largest scores, and ${target} wants multiples of ${by}: ${rules.reason}`;
  const widths = { kinds: ['ffn-channel', 'hidden'] as const, multiple };
  const heads = { kinds: ['kv-group'] as const, multiple: rules.sharded ? shards : 1 };
  return [widths, heads]
    .filter((rule) => rule.multiple > 1)
    .map((rule) => ({ ...rule, why: (kept: number, of: number) => why(kept, of, rule.multiple) }));
}
