import type { z } from 'zod';
import { escaped, type JsonObject } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { Architecture } from './architecture.js';
import { blockShapes } from './block-shapes.js';
import { unsupportedValue } from './config-errors.js';
import { refuseUnsupportedKeys, spelled } from './config-keys.js';
import { COMMON_KEYS, type ConfigKey, type ConfigValues, configSchema } from './config-schema.js';
import type { Activation, BlockShape, Decoder } from './decoder.js';
import { readRopes } from './rope-config.js';

/** What config.json says of a decoder; what is left of `Decoder` are the names of its tensors. */
export interface DecoderConfig {
  readonly numbers: Omit<
    Decoder,
    'architecture' | 'blocks' | 'embedding' | 'positions' | 'finalNorm' | 'finalNormBias' | 'head' | 'tied'
  >;
  readonly blocks: readonly BlockShape[];
  readonly biases: { readonly attention_bias: boolean; readonly mlp_bias: boolean };
  /** `tie_word_embeddings`. */
  readonly tieHead: boolean;
}

/** What transformers calls the activations. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_new: 'gelu-tanh',
  gelu_fast: 'gelu-tanh',
  gelu_pytorch_tanh: 'gelu-tanh',
};

/**
 * Returns the checked numbers of a config.json. Throws `unreadable` for wrong types, sizes out of bounds and
 * contradictions, `unsupported` for anything that would have to be run differently from how the forward pass runs it.
 */
export function readConfig(config: JsonObject, architecture: Architecture, file: string): DecoderConfig {
  refuseUnsupportedKeys(config, architecture, file);
  const values = readValues(config, architecture, file);
  refuseOtherClasses(values, architecture, file);
  const { defaults } = architecture;
  const ropes = readRopes(values, architecture, file);
  const blocks = blockShapes(values, architecture, { file, ropes });
  const widest = (size: 'heads' | 'kvHeads' | 'headDim' | 'ffn') => Math.max(...blocks.map((block) => block[size]));
  const slidingWindow = blocks.find((block) => block.slidingWindow !== undefined)?.slidingWindow;
  return {
    numbers: {
      hidden: values.hidden_size,
      heads: widest('heads'),
      kvHeads: widest('kvHeads'),
      headDim: widest('headDim'),
      ffn: widest('ffn'),
      vocabulary: values.vocab_size,
      maxContext: values.max_position_embeddings ?? defaults.max_position_embeddings,
      norm: architecture.norm,
      normEpsilon: values.rms_norm_eps ?? defaults.rms_norm_eps,
      activation: readActivation(values, architecture, file),
      parallelResidual: false,
      ...architecture.numbers?.(values),
      ropeTheta: ropes.full.theta,
      ropeScaling: ropes.full.scaling,
      ...(slidingWindow !== undefined && { slidingWindow }),
      ...(values.bos_token_id == null ? {} : { bosTokenId: values.bos_token_id }),
      eosTokenIds: [values.eos_token_id ?? []].flat(),
    },
    blocks,
    biases: { attention_bias: values.attention_bias ?? false, mlp_bias: values.mlp_bias ?? false },
    tieHead: values.tie_word_embeddings ?? false,
  };
}

/** The keys that the architecture reads, under their common names; an absent one (not a null) has its default. */
function readValues(config: JsonObject, architecture: Architecture, file: string): ConfigValues {
  const own: Record<string, unknown> = {};
  for (const key of [...COMMON_KEYS, ...architecture.keys]) {
    const value = config[spelled(key, architecture)];
    if (value !== undefined) own[key] = value;
  }
  const parsed = configSchema.safeParse(own);
  if (!parsed.success) throw malformed(file, parsed.error, architecture);
  // The default base counts only where neither rope_theta nor rope_parameters says one: `readRopes` sees to it.
  const { rope_theta: _, ...defaults } = architecture.defaults;
  return { ...defaults, ...parsed.data };
}

function refuseOtherClasses(values: ConfigValues, { className }: Architecture, file: string): void {
  const classes = values.architectures ?? [];
  if (classes.length > 0 && !classes.includes(className)) {
    throw unsupportedValue(file, 'architectures', classes, [[className]]);
  }
}

function readActivation(values: ConfigValues, architecture: Architecture, file: string): Activation {
  const { activations } = architecture;
  const name = values.hidden_act ?? activations[0]!;
  if (!activations.includes(name)) throw unsupportedValue(file, spelled('hidden_act', architecture), name, activations);
  return ACTIVATIONS[name]!;
}

function malformed(file: string, error: z.ZodError, architecture: Architecture): BirdboneError {
  const issues = error.issues.slice(0, 5).map(({ path: [key, ...rest], message }) => {
    const where = [spelled(key as ConfigKey, architecture), ...rest].join('.');
    return escaped(`${where}: ${message}`);
  });
  return new BirdboneError('unreadable', `${file} is not a valid config: ${issues.join('; ')}.`, {
    file,
    cause: error,
  });
}
