import type { JsonObject } from '../../checkpoint/index.js';
import { type CodedLinear, schemeKey } from '../rules.js';
import { type Format, formOf, type Inputs, NAME, type SchemeForm } from './scheme-form.js';

/** Every key of `QuantizationArgs` that its classes of 2024 and later know: they forbid others. */
interface Arguments {
  readonly num_bits: number;
  readonly type: 'int' | 'float';
  readonly symmetric: boolean;
  readonly strategy: string;
  readonly group_size?: number | null;
  readonly dynamic: boolean;
  readonly block_structure?: readonly number[] | null;
  readonly observer: string | null;
}

function quantizationArgs(values: Arguments): JsonObject {
  const { num_bits, type, symmetric, strategy, group_size = null, dynamic, block_structure = null, observer } = values;
  return {
    num_bits,
    type,
    symmetric,
    strategy,
    group_size,
    dynamic,
    actorder: null,
    block_structure,
    observer,
    observer_kwargs: {},
  };
}

function weightArgs({ bits, type, symmetric, strategy, groupSize, blockShape }: SchemeForm['scheme']): JsonObject {
  return quantizationArgs({
    num_bits: bits,
    type: type === 'float' ? 'float' : 'int',
    symmetric,
    strategy,
    group_size: groupSize ?? null,
    dynamic: false,
    block_structure: blockShape ?? null,
    observer: 'minmax',
  });
}

const EIGHT = { num_bits: 8, symmetric: true, observer: null } as const;

const INPUT_ARGS: Record<Inputs, JsonObject | null> = {
  none: null,
  'int8-token': quantizationArgs({ ...EIGHT, type: 'int', strategy: 'token', dynamic: true }),
  'fp8-token': quantizationArgs({ ...EIGHT, type: 'float', strategy: 'token', dynamic: true }),
  'fp8-group': quantizationArgs({ ...EIGHT, type: 'float', strategy: 'group', group_size: 128, dynamic: true }),
  'fp8-static': quantizationArgs({ ...EIGHT, type: 'float', strategy: 'tensor', dynamic: false, observer: 'minmax' }),
};

const KV_ARGS = quantizationArgs({
  ...EIGHT,
  type: 'float',
  strategy: 'tensor',
  dynamic: false,
  observer: 'minmax',
});

export interface ConfigParts {
  readonly linears: readonly CodedLinear[];
  /** Modules that are left dense. */
  readonly ignore: readonly string[];
  readonly hasInputScale: (weight: string) => boolean;
  readonly hasKvScales: boolean;
}

/**
 * The `quantization_config` of config.json. With one scheme its group targets every Linear; with several each names its modules: vLLM
 * looks for the class of a fused layer before it looks for the names of its parts, so that "Linear" in one group would win over the
 * names in another.
 */
export function quantizationConfig({ linears, ignore, hasInputScale, hasKvScales }: ConfigParts): JsonObject {
  const groups = groupsOf(linears, hasInputScale);
  const formats = new Set(groups.map(({ form }) => form.format));
  const format: Format | 'mixed-precision' = formats.size === 1 ? [...formats][0]! : 'mixed-precision';
  const entries = groups.map(({ form, modules }, index) => [
    `group_${index}`,
    {
      targets: groups.length === 1 ? ['Linear'] : modules,
      weights: weightArgs(form.scheme),
      input_activations: INPUT_ARGS[form.inputs],
      output_activations: null,
      format: form.format,
    },
  ]);
  return {
    quant_method: NAME,
    format,
    quantization_status: 'compressed',
    global_compression_ratio: null,
    kv_cache_scheme: hasKvScales ? KV_ARGS : null,
    ignore: [...ignore],
    config_groups: Object.fromEntries(entries) as JsonObject,
  };
}

interface Group {
  readonly form: SchemeForm;
  readonly modules: string[];
}

/** One group for each scheme, the scheme of most modules first. */
function groupsOf(linears: readonly CodedLinear[], hasInputScale: ConfigParts['hasInputScale']): Group[] {
  const groups = new Map<string, Group>();
  for (const linear of linears) {
    const form = formOf(linear, hasInputScale(linear.weight));
    // The type of the scales is the tensors' own affair.
    const key = `${form.inputs} ${schemeKey({ ...form.scheme, scaleDtype: 'F32' })}`;
    const group = groups.get(key) ?? { form, modules: [] };
    groups.set(key, group);
    group.modules.push(linear.module);
  }
  return [...groups.values()].sort((left, right) => right.modules.length - left.modules.length);
}
