import type { ConfigFields } from '../config-fields.js';
import { type Targets, targetsOf } from './targets.js';

/** How tensors are stored that are read; 'dense' groups have no quantized tensors. */
export const FORMATS = ['pack-quantized', 'int-quantized', 'float-quantized', 'naive-quantized', 'dense'] as const;

/** What a group says of the weights of its modules. */
export interface WeightArgs {
  readonly bits: number;
  readonly type: 'int' | 'float';
  readonly symmetric: boolean;
  readonly strategy: 'tensor' | 'channel' | 'group' | 'block';
  readonly groupSize?: number;
  readonly blockShape?: readonly [number, number];
  /** Groups are of inputs in the order of their activations. */
  readonly isReordered: boolean;
}

export interface Group {
  readonly targets: Targets;
  readonly weights: WeightArgs | undefined;
  readonly inputs: 'none' | 'dynamic' | 'static';
  readonly inputType: 'int' | 'float';
  readonly inputStrategy: string;
}

const BITS = [2, 3, 4, 5, 6, 7, 8];
const STRATEGIES = ['tensor', 'channel', 'group', 'block'] as const;
const MAX_BLOCK = 65_536;

/** The groups of modules in the order of the file. Throws `unsupported` for a scheme that is not read, naming the field. */
export function readGroups(fields: ConfigFields): Group[] {
  const format = fields.oneOf('format', [...FORMATS, 'mixed-precision']);
  const groups = fields.fields('config_groups');
  if (groups === undefined) throw fields.wrong('config_groups', 'a quantized model has groups');
  return groups.keys.map((key) => {
    const group = groups.fields(key);
    if (group === undefined) throw groups.wrong(key, 'it must be an object');
    group.oneOf('format', FORMATS, format === 'mixed-precision' ? 'dense' : format);
    const inputs = group.fields('input_activations');
    const weights = group.fields('weights');
    return {
      targets: targetsOf(group.texts('targets'), fields.file),
      weights: weights && readWeights(weights),
      inputs: inputs === undefined ? 'none' : inputs.oneOf('dynamic', [true, false], false) ? 'dynamic' : 'static',
      inputType: inputs?.oneOf('type', ['int', 'float'] as const, 'int') ?? 'int',
      inputStrategy: String(inputs?.value('strategy') ?? ''),
    };
  });
}

function readWeights(weights: ConfigFields): WeightArgs {
  const type = weights.oneOf('type', ['int', 'float'] as const, 'int');
  const bits = weights.oneOf('num_bits', type === 'int' ? BITS : [8], 8);
  const size = weights.value('group_size') === undefined ? undefined : weights.groupSize('group_size');
  const absent = size !== undefined ? 'group' : weights.value('group_size') === -1 ? 'channel' : 'tensor';
  const strategy = weights.oneOf('strategy', STRATEGIES, absent);
  weights.oneOf('dynamic', [false], false);
  if (strategy === 'group' && size === undefined) throw weights.wrong('group_size', 'groups need a size');
  const actorder = weights.oneOf('actorder', ['weight', 'static', 'group', 'dynamic', true, false], false);
  return {
    bits,
    type,
    symmetric: weights.oneOf('symmetric', [true, false], true),
    strategy,
    ...(strategy === 'group' && size !== undefined && { groupSize: size }),
    ...(strategy === 'block' && { blockShape: blockShapeOf(weights) }),
    isReordered: actorder === 'group' || actorder === 'dynamic' || actorder === true,
  };
}

/** [128, 128], or "128x128" as files of 2024 have it. */
function blockShapeOf(weights: ConfigFields): readonly [number, number] {
  const value = weights.value('block_structure');
  const sizes = typeof value === 'string' ? value.split('x').map(Number) : value;
  const isShape =
    Array.isArray(sizes) &&
    sizes.length === 2 &&
    sizes.every((size) => Number.isSafeInteger(size) && size >= 1 && size <= MAX_BLOCK);
  if (isShape) return [sizes[0], sizes[1]];
  throw weights.wrong('block_structure', 'it must be two whole numbers');
}
