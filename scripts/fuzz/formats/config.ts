import { memorySource } from '../../../src/checkpoint/files/bytes.js';
import { readJson } from '../../../src/checkpoint/files/json-file.js';
import { describeModel } from '../../../src/model/describe.js';
import { memoryCheckpoint } from '../../../test/fixtures/memory-checkpoint.js';
import { TINY_LLAMA, tinyModel } from '../../../test/reference/tiny-model.js';
import { BrokenInvariant, type FuzzFormat } from '../fuzz-format.js';
import { textOf, treeOf } from '../json-tree.js';
import { mutateBytes } from '../mutate-bytes.js';
import { mutateJson } from '../mutate-json.js';
import { checkRefusal } from '../refusal.js';

const PATH = '/fuzz/config.json';
const MAX_BYTES = 2 ** 20;

const CHECKPOINT = memoryCheckpoint(
  Object.fromEntries(
    [...tinyModel(TINY_LLAMA).tensors].map(([name, { shape, values }]) => [
      name,
      { dtype: 'F32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) },
    ]),
  ),
  { path: '/fuzz' },
);

/** One config that is described as it is, and others that come close to limits, for what readers do with their numbers. */
const CONFIGS: readonly object[] = [
  TINY_LLAMA,
  { ...TINY_LLAMA, bos_token_id: 1, eos_token_id: [2, 3], head_dim: 8, torch_dtype: 'float32', pad_token_id: null },
  { ...TINY_LLAMA, rope_scaling: { rope_type: 'linear', factor: 2 }, rope_parameters: null },
  {
    ...TINY_LLAMA,
    rope_scaling: {
      ...{ rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
      original_max_position_embeddings: 64,
    },
  },
  {
    ...TINY_LLAMA,
    ...{ model_type: 'mistral', architectures: ['MistralForCausalLM'], sliding_window: 32 },
    layer_types: ['sliding_attention', 'sliding_attention'],
  },
];
const TREES = CONFIGS.map(treeOf);
const SOUND = TREES.map((tree) => Buffer.from(textOf(tree)));
const WORDS = [
  ...Object.keys(Object.assign({}, ...CONFIGS)),
  ...[
    'llama',
    'mistral',
    'gpt2',
    'LlamaForCausalLM',
    'MistralForCausalLM',
    'silu',
    'gelu',
    'yarn',
    'dynamic',
    'linear',
  ],
  ...[
    'auto_map',
    'trust_remote_code',
    'quantization_config',
    'factor',
    'rope_type',
    'type',
    'full_attention',
    'default',
  ],
].map((word) => JSON.stringify(word));

/** config.json over a model in memory: what the numbers say must be what its tensors have. */
export const config: FuzzFormat = {
  name: 'config',
  sound: SOUND,
  mutate(random) {
    if (random.oneIn(8)) return mutateBytes(random.pick(SOUND), random, SOUND);
    let tree = random.pick(TREES);
    for (let steps = 1 + random.below(3); steps > 0; steps -= 1) tree = mutateJson(tree, random, WORDS);
    const bytes = Buffer.from(textOf(tree));
    return random.oneIn(8) ? mutateBytes(bytes, random, SOUND) : bytes;
  },
  async check(bytes) {
    try {
      const { value } = await readJson(memorySource(PATH, bytes), { maxBytes: MAX_BYTES, strict: true });
      // What `readJsonObject` refuses beside this has no file to name here.
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'refused';
      const { blocks, vocabulary, hidden } = await describeModel(CHECKPOINT, value as Record<string, unknown>, PATH);
      const isAsStored = blocks.length === 2 && vocabulary === 61 && hidden === 32;
      if (!isAsStored) throw new BrokenInvariant(`it describes ${blocks.length} blocks of ${vocabulary} x ${hidden}`);
      return 'opened';
    } catch (error) {
      checkRefusal(error, '/fuzz');
      return 'refused';
    }
  },
};
