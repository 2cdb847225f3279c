import { z } from 'zod';
import { quoted } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { unsupportedValue } from './config-errors.js';
import type { RopeScaling } from './decoder.js';

const positive = z.number().positive().max(1e12);

/** `rope_scaling` (old: without rope_theta, the kind under `type`) and `rope_parameters` (transformers 5: with it). */
export const ropeObject = z.looseObject({
  type: z.string().nullish(),
  rope_type: z.string().nullish(),
  rope_theta: positive.nullish(),
  factor: positive.min(1).nullish(),
  low_freq_factor: positive.nullish(),
  high_freq_factor: positive.nullish(),
  original_max_position_embeddings: positive.nullish(),
  partial_rotary_factor: z.number().nullish(),
});
type RopeObject = z.infer<typeof ropeObject>;

const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  default: [],
  linear: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
};
const COMMON = ['type', 'rope_type', 'rope_theta', 'partial_rotary_factor'];

interface RopeKeys {
  readonly rope_theta?: number | null | undefined;
  readonly rope_scaling?: RopeObject | null | undefined;
  readonly rope_parameters?: RopeObject | null | undefined;
}

/**
 * Returns the base and the scaling that a config asks for. Throws `unsupported` for a kind or a parameter that is not
 * implemented, `unreadable` when a parameter is missing or two places disagree.
 */
export function readRope(
  config: RopeKeys,
  defaultTheta: number,
  file: string,
): { theta: number; scaling: RopeScaling } {
  if (config.rope_scaling != null && config.rope_parameters != null) {
    throw contradiction(file, 'rope_scaling and rope_parameters are both given');
  }
  const key = config.rope_parameters == null ? 'rope_scaling' : 'rope_parameters';
  const rope: RopeObject = config[key] ?? {};
  if (config.rope_theta != null && rope.rope_theta != null && config.rope_theta !== rope.rope_theta) {
    throw contradiction(file, `rope_theta is ${config.rope_theta} and, in ${key}, ${rope.rope_theta}`);
  }
  return { theta: rope.rope_theta ?? config.rope_theta ?? defaultTheta, scaling: readScaling(rope, key, file) };
}

function readScaling(rope: RopeObject, key: string, file: string): RopeScaling {
  if (rope.type != null && rope.rope_type != null && rope.type !== rope.rope_type) {
    throw contradiction(file, `${key} has type ${quoted(rope.type)} and rope_type ${quoted(rope.rope_type)}`);
  }
  const kind = rope.rope_type ?? rope.type ?? ('factor' in rope ? undefined : 'default');
  if (kind === undefined) throw contradiction(file, `${key} has a factor and no rope_type`);
  refuseOtherParameters(rope, kind, key, file);
  const parameter = (name: keyof RopeObject) =>
    (rope[name] as number | null | undefined) ?? missing(file, key, kind, name);
  if (kind === 'linear') return { kind, factor: parameter('factor') };
  if (kind !== 'llama3') return { kind: 'none' };
  const scaling = {
    kind,
    factor: parameter('factor'),
    lowFrequencyFactor: parameter('low_freq_factor'),
    highFrequencyFactor: parameter('high_freq_factor'),
    originalContext: parameter('original_max_position_embeddings'),
  } as const;
  if (scaling.highFrequencyFactor <= scaling.lowFrequencyFactor) {
    throw contradiction(file, `${key}.high_freq_factor must be above low_freq_factor`);
  }
  return scaling;
}

function refuseOtherParameters(rope: RopeObject, kind: string, key: string, file: string): void {
  const known = Object.hasOwn(PARAMETERS, kind) ? PARAMETERS[kind]! : undefined;
  if (known === undefined) throw unsupportedValue(file, `${key}.rope_type`, kind, Object.keys(PARAMETERS));
  if (rope.partial_rotary_factor != null && rope.partial_rotary_factor !== 1) {
    throw unsupportedValue(file, `${key}.partial_rotary_factor`, rope.partial_rotary_factor, [1]);
  }
  for (const [name, value] of Object.entries(rope)) {
    if (value != null && !COMMON.includes(name) && !known.includes(name)) {
      throw unsupportedValue(file, `${key}.${name}`, value, []);
    }
  }
}

function missing(file: string, key: string, kind: string, name: string | number): never {
  throw new BirdboneError('unreadable', `${file}: ${key} of type ${kind} needs ${name}.`, { file });
}

function contradiction(file: string, what: string): BirdboneError {
  return new BirdboneError('unreadable', `${file} contradicts itself: ${what}.`, { file });
}
