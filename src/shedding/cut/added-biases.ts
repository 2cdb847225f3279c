import type { Checkpoint, JsonObject, TensorInfo } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';
import { type Architecture, architectures, biasNameOf, type Decoder, type LinearSpec } from '../../model/index.js';
import { DTYPES } from '../../tensor/index.js';
import { renamed } from './cut-tensors.js';
import type { Cut } from './own-config.js';

type BiasKey = 'attention_bias' | 'mlp_bias';

/** What a README has to say of a Mistral with biases. */
export const MISTRAL_NOTICE =
  'A Mistral has no biases, and this model was given some: it is written as LlamaForCausalLM, which computes the same.';

/** Whether waves have given linears biases that the config does not speak of. */
export function hasUnsaidBiases({
  decoder,
  architecture,
  config,
}: Pick<Cut, 'decoder' | 'architecture' | 'config'>): boolean {
  return biasedLinears(decoder).some((linear) => !isSaid(linear, architecture, config));
}

/**
 * The same cut in an architecture whose config can say of the biases that waves have added. A Mistral becomes the Llama that
 * computes the same. Throws `unsupported` for an architecture without a place for them, and for a Mistral whose window is shorter
 * than its context.
 */
export async function withPlaceForBiases(cut: Cut): Promise<Cut> {
  const { architecture, decoder } = cut;
  const homeless = biasedLinears(decoder).find((linear) => templateBias(linear, architecture) === undefined);
  if (homeless === undefined) return cut;
  if (architecture.modelType !== 'mistral') throw noPlace(homeless, architecture);
  const { slidingWindow, maxContext } = decoder;
  if (slidingWindow !== undefined && slidingWindow < maxContext) throw windowed(slidingWindow, maxContext);
  return { ...cut, architecture: await architectures.load('llama'), config: llamaConfig(cut) };
}

/** The keys of config.json that say that there are biases, where there are: `attention_bias`, `mlp_bias`. */
export function biasKeys({ decoder, architecture }: Cut): Readonly<Partial<Record<BiasKey, true>>> {
  const keys = biasedLinears(decoder).map((linear) => templateBias(linear, architecture));
  return Object.fromEntries(keys.filter((key) => typeof key === 'string').map((key) => [key, true]));
}

/**
 * The view with a bias of zeros for every linear that has none and that the config's keys say has one: a key speaks of all linears of
 * a half.
 */
export function withZeroBiases(view: Checkpoint, cut: Cut): Checkpoint {
  const keys = biasKeys(cut);
  const zeros = new Map<string, TensorInfo>();
  for (const { block } of cut.widths.blocks) {
    for (const linear of cut.decoder.blocks[block]!.linears) {
      const key = templateBias(linear, cut.architecture);
      if (linear.bias !== undefined || typeof key !== 'string' || keys[key] === undefined) continue;
      const weight = view.tensors.get(renamed(linear.weight, block, cut.widths));
      // A half that is gone.
      if (weight === undefined) continue;
      const name = renamed(biasNameOf(linear), block, cut.widths);
      const rows = weight.shape[0]!;
      zeros.set(name, { name, dtype: weight.dtype, shape: [rows], byteLength: (rows * DTYPES[weight.dtype].bits) / 8 });
    }
  }
  if (zeros.size === 0) return view;
  const tensors = new Map([...view.tensors, ...zeros].sort(([left], [right]) => (left < right ? -1 : 1)));
  return {
    ...view,
    tensors,
    read: async (name, range) => {
      const info = zeros.get(name);
      return info === undefined ? view.read(name, range) : new Uint8Array(range?.length ?? info.byteLength);
    },
  };
}

function biasedLinears({ blocks }: Decoder): LinearSpec[] {
  return blocks.flatMap(({ linears }) => linears.filter(({ bias }) => bias !== undefined));
}

function templateBias({ role }: LinearSpec, { linears }: Architecture): true | BiasKey | undefined {
  return linears.find((template) => template.role === role)?.bias;
}

function isSaid(linear: LinearSpec, architecture: Architecture, config: JsonObject): boolean {
  const bias = templateBias(linear, architecture);
  // GPT-NeoX has them unless it says otherwise.
  return bias === true || (bias !== undefined && (config[bias] ?? architecture.defaults[bias]) === true);
}

/** A Llama's config with what the defaults of a Mistral's said, too. */
function llamaConfig({ config, decoder }: Cut): JsonObject {
  const { sliding_window: _, layer_types: __, ...rest } = config;
  const hasTheta = rest['rope_theta'] != null || rest['rope_parameters'] != null;
  return {
    ...rest,
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    max_position_embeddings: decoder.maxContext,
    num_key_value_heads: decoder.kvHeads,
    rms_norm_eps: decoder.normEpsilon,
    ...(!hasTheta && { rope_theta: decoder.ropeTheta }),
  };
}

function noPlace({ role }: LinearSpec, { modelType }: Architecture): BirdboneError {
  return new BirdboneError(
    'unsupported',
    `--fold flap gives the ${role} of a block a bias, and no config says that of a ${modelType} model.`,
    { suggestions: ['Fold what goes into what stays: --fold ls'] },
  );
}

function windowed(window: number, context: number): BirdboneError {
  return new BirdboneError(
    'unsupported',
    `--fold flap gives linears biases, which only a Llama has; and this Mistral slides a window of ${window} over a context of ${context}, which a Llama does not.`,
    { suggestions: ['Fold what goes into what stays: --fold ls'] },
  );
}
