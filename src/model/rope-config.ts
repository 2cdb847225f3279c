import { z } from 'zod';
import { quoted } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { Architecture } from './architecture.js';
import { unsupportedValue } from './config-errors.js';
import type { ConfigValues } from './config-schema.js';
import type { RopeScaling } from './decoder.js';

const positive = z.number().positive().max(1e12);
/** No head has more pairs. */
const factors = z.array(positive).max(2 ** 13);

/** `rope_scaling` (old: without rope_theta, the kind under `type`) and `rope_parameters` (transformers 5: with it). */
export const ropeObject = z.looseObject({
  type: z.string().nullish(),
  rope_type: z.string().nullish(),
  rope_theta: positive.nullish(),
  factor: positive.min(1).nullish(),
  low_freq_factor: positive.nullish(),
  high_freq_factor: positive.nullish(),
  original_max_position_embeddings: positive.nullish(),
  partial_rotary_factor: z.number().positive().max(1).nullish(),
  short_factor: factors.nullish(),
  long_factor: factors.nullish(),
});
type RopeObject = z.infer<typeof ropeObject>;

/** As transformers 5 writes it: one for all blocks, or one for each kind of block. */
export const ropeParameters = ropeObject.extend({
  full_attention: ropeObject.nullish(),
  sliding_attention: ropeObject.nullish(),
});

export type RopeKind = 'default' | 'linear' | 'llama3' | 'longrope';
const USUAL_KINDS: readonly RopeKind[] = ['default', 'linear', 'llama3'];

const PARAMETERS: Readonly<Record<RopeKind, readonly string[]>> = {
  default: [],
  linear: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
  longrope: ['short_factor', 'long_factor', 'original_max_position_embeddings'],
};
const COMMON = ['type', 'rope_type', 'rope_theta', 'partial_rotary_factor'];

/** How the queries and keys of one kind of block are turned; `share` is the part of each head that is. */
export interface ReadRope {
  readonly theta: number;
  readonly scaling: RopeScaling;
  readonly share: number;
}

/** Of the blocks that attend to everything, and of those that slide a window. */
export interface Ropes {
  readonly full: ReadRope;
  readonly sliding: ReadRope;
}

/**
 * Returns the bases and the scalings that a config asks for. Throws `unsupported` for a kind or a parameter that is not
 * implemented, `unreadable` when a parameter is missing or two places disagree.
 */
export function readRopes(values: ConfigValues, architecture: Architecture, file: string): Ropes {
  const byKind = architecture.keys.includes('rope_local_base_freq');
  const { full_attention: whole, sliding_attention: local } = values.rope_parameters ?? {};
  if (byKind && whole != null && local != null) {
    const read = (rope: RopeObject, theta: number) =>
      readRope({ ...values, rope_theta: null, rope_parameters: rope }, theta, { architecture, file });
    return { full: read(whole, defaultTheta(architecture)), sliding: read(local, LOCAL_THETA) };
  }
  const full = readRope(values, defaultTheta(architecture), { architecture, file });
  if (!byKind) return { full, sliding: full };
  const theta = values.rope_local_base_freq ?? LOCAL_THETA;
  return { full, sliding: { theta, scaling: { kind: 'none' }, share: full.share } };
}

/** Gemma 3's. */
const LOCAL_THETA = 10_000;

function defaultTheta({ defaults }: Architecture): number {
  return defaults.rope_theta ?? 10_000;
}

interface ReadContext {
  readonly architecture: Architecture;
  readonly file: string;
}

function readRope(values: ConfigValues, theta: number, context: ReadContext): ReadRope {
  const { file, architecture } = context;
  if (values.rope_scaling != null && values.rope_parameters != null) {
    throw contradiction(file, 'rope_scaling and rope_parameters are both given');
  }
  const key = values.rope_parameters == null ? 'rope_scaling' : 'rope_parameters';
  const rope: RopeObject = values[key] ?? {};
  if (values.rope_theta != null && rope.rope_theta != null && values.rope_theta !== rope.rope_theta) {
    throw contradiction(file, `rope_theta is ${values.rope_theta} and, in ${key}, ${rope.rope_theta}`);
  }
  const partial = architecture.keys.includes('partial_rotary_factor');
  if (!partial && rope.partial_rotary_factor != null && rope.partial_rotary_factor !== 1) {
    throw unsupportedValue(file, `${key}.partial_rotary_factor`, rope.partial_rotary_factor, [1]);
  }
  return {
    theta: rope.rope_theta ?? values.rope_theta ?? theta,
    scaling: readScaling(rope, key, values, context),
    share: rope.partial_rotary_factor ?? values.partial_rotary_factor ?? 1,
  };
}

function readScaling(rope: RopeObject, key: string, values: ConfigValues, context: ReadContext): RopeScaling {
  const { file } = context;
  const kind = kindOf(rope, key, context);
  refuseOtherParameters(rope, kind, key, file);
  const missing = (name: string) => contradiction(file, `${key} of type ${kind} needs ${name}`);
  const parameter = (name: 'factor' | 'low_freq_factor' | 'high_freq_factor' | 'original_max_position_embeddings') => {
    const value = rope[name];
    if (value == null) throw missing(name);
    return value;
  };
  switch (kind) {
    case 'default':
      return { kind: 'none' };
    case 'linear':
      return { kind, factor: parameter('factor') };
    case 'llama3': {
      const scaling = {
        kind,
        factor: parameter('factor'),
        lowFrequencyFactor: parameter('low_freq_factor'),
        highFrequencyFactor: parameter('high_freq_factor'),
        originalContext: parameter('original_max_position_embeddings'),
      };
      if (scaling.highFrequencyFactor > scaling.lowFrequencyFactor) return scaling;
      throw contradiction(file, `${key}.high_freq_factor must be above low_freq_factor`);
    }
    case 'longrope': {
      const { short_factor: shortFactors, long_factor: longFactors } = rope;
      if (shortFactors == null) throw missing('short_factor');
      if (longFactors == null) throw missing('long_factor');
      return { kind, shortFactors, longFactors, ...longContext(rope, values, context) };
    }
  }
}

/** Source: transformers, modeling_rope_utils.py (`_compute_longrope_parameters`); Ding et al. 2024, "LongRoPE". */
function longContext(rope: RopeObject, values: ConfigValues, { architecture }: ReadContext) {
  const maxContext = values.max_position_embeddings ?? architecture.defaults.max_position_embeddings;
  const originalContext =
    rope.original_max_position_embeddings ?? values.original_max_position_embeddings ?? maxContext;
  const ratio = maxContext / originalContext;
  return { originalContext, amplitude: ratio <= 1 ? 1 : Math.sqrt(1 + Math.log(ratio) / Math.log(originalContext)) };
}

function kindOf(rope: RopeObject, key: string, { architecture, file }: ReadContext): RopeKind {
  if (rope.type != null && rope.rope_type != null && rope.type !== rope.rope_type) {
    throw contradiction(file, `${key} has type ${quoted(rope.type)} and rope_type ${quoted(rope.rope_type)}`);
  }
  const name = rope.rope_type ?? rope.type ?? ('factor' in rope ? undefined : 'default');
  if (name === undefined) throw contradiction(file, `${key} has a factor and no rope_type`);
  const kinds = architecture.ropeKinds ?? USUAL_KINDS;
  const kind = kinds.find((candidate) => candidate === name);
  if (kind === undefined) throw unsupportedValue(file, `${key}.rope_type`, name, kinds);
  return kind;
}

function refuseOtherParameters(rope: RopeObject, kind: RopeKind, key: string, file: string): void {
  for (const [name, value] of Object.entries(rope)) {
    if (value != null && !COMMON.includes(name) && !PARAMETERS[kind].includes(name)) {
      throw unsupportedValue(file, `${key}.${name}`, value, []);
    }
  }
}

function contradiction(file: string, what: string): BirdboneError {
  return new BirdboneError('unreadable', `${file} contradicts itself: ${what}.`, { file });
}
