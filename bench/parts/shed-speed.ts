import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SafetensorsWriter, writeCheckpoint } from '../../src/checkpoint/index.js';
import { convert } from '../../src/conversion/index.js';
import { openModel } from '../../src/model/index.js';
import { Marks, plateGraph, TARGETS } from '../../src/plates/index.js';
import { seededRandom } from '../../src/random.js';
import { cutModel, uniformAllotment } from '../../src/shedding/index.js';
import { encodeFromF32 } from '../../src/tensor/index.js';
import { markdownTable } from '../record.js';
import { interleave } from '../timing.js';

const root = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const library = root('test/llama/node_modules/node-llama-cpp/dist/index.js');

const SHAPE = { hidden: 768, layers: 12, ffn: 3072, heads: 12, kvHeads: 4, headDim: 64 };
const SPARSITY = 0.25;
const GENERATED = 48;
const ROUNDS = 9;

export interface ShedSpeed {
  readonly parameters: { readonly dense: number; readonly shed: number };
  readonly tokensPerSecond: { readonly dense: number; readonly shed: number };
  /** Median of the ratios of paired runs. */
  readonly ratio: number;
}

/**
 * Tokens that llama.cpp generates in a second from a synthetic model of 100 million parameters, and from the same model with a
 * quarter of its heads and channels shed for llama.cpp: medians of paired runs, F16, on one core of the CPU (its threads wait for
 * each other in busy loops: with one more than there are idle cores, a token takes 50 times as long). Needs `npm run setup:llama`.
 */
export async function shedSpeed(): Promise<ShedSpeed> {
  if (!existsSync(library)) throw new Error('no llama.cpp: npm run setup:llama');
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-speed-'));
  try {
    const dense = await writeDense(path.join(folder, 'dense'));
    const shed = await writeShed(dense, path.join(folder, 'shed'));
    const files = { dense: path.join(folder, 'dense.gguf'), shed: path.join(folder, 'shed.gguf') };
    await convert({ model: dense, out: files.dense });
    await convert({ model: shed, out: files.shed });
    const speed = await measure(files);
    return { parameters: { dense: await parametersOf(dense), shed: await parametersOf(shed) }, ...speed };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function renderShedSpeed({ parameters, tokensPerSecond, ratio }: ShedSpeed): string {
  const row = (name: 'dense' | 'shed') => [name, String(parameters[name]), tokensPerSecond[name].toFixed(2)];
  return markdownTable(
    ['model', 'parameters', 'tokens in a second', 'times dense'],
    [
      [...row('dense'), ''],
      [...row('shed'), ratio.toFixed(3)],
    ],
  );
}

async function writeDense(folder: string): Promise<string> {
  await mkdir(folder);
  const own = JSON.parse(await readFile(root('models/fledgling/config.json'), 'utf8')) as Record<string, unknown>;
  const vocabulary = Number(own['vocab_size']);
  const { hidden, layers, ffn, heads, kvHeads, headDim } = SHAPE;
  const config = {
    ...own,
    hidden_size: hidden,
    num_hidden_layers: layers,
    intermediate_size: ffn,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    torch_dtype: 'float16',
  };
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    await copyFile(root(`models/fledgling/${name}`), path.join(folder, name));
  const shapes: [string, number[]][] = [
    ['model.embed_tokens.weight', [vocabulary, hidden]],
    ['model.norm.weight', [hidden]],
    ...(own['tie_word_embeddings'] === true ? [] : [['lm_head.weight', [vocabulary, hidden]] as [string, number[]]]),
    ...Array.from({ length: layers }, (_, block) => blockShapes(`model.layers.${block}`)).flat(),
  ];
  const infos = shapes.map(([name, shape]) => {
    return { name, dtype: 'F16' as const, shape, byteLength: 2 * shape.reduce((product, size) => product * size, 1) };
  });
  const writer = await SafetensorsWriter.create(path.join(folder, 'model.safetensors'), infos, { format: 'pt' });
  const random = seededRandom(1);
  for (const { name, byteLength, shape } of infos) {
    const values = Float32Array.from({ length: byteLength / 2 }, () => {
      return shape.length === 1 ? 1 : 0.04 * (random.bits() / 2 ** 32 - 0.5);
    });
    await writer.write(name, 0, encodeFromF32(values, 'F16'));
  }
  await writer.commit();
  return folder;
}

function blockShapes(prefix: string): [string, number[]][] {
  const { hidden, ffn, heads, kvHeads, headDim } = SHAPE;
  return [
    [`${prefix}.input_layernorm.weight`, [hidden]],
    [`${prefix}.self_attn.q_proj.weight`, [heads * headDim, hidden]],
    [`${prefix}.self_attn.k_proj.weight`, [kvHeads * headDim, hidden]],
    [`${prefix}.self_attn.v_proj.weight`, [kvHeads * headDim, hidden]],
    [`${prefix}.self_attn.o_proj.weight`, [hidden, heads * headDim]],
    [`${prefix}.post_attention_layernorm.weight`, [hidden]],
    [`${prefix}.mlp.gate_proj.weight`, [ffn, hidden]],
    [`${prefix}.mlp.up_proj.weight`, [ffn, hidden]],
    [`${prefix}.mlp.down_proj.weight`, [hidden, ffn]],
  ];
}

/** Which plates go does not matter to the speed: how many is what `prune --plates auto --target llama.cpp` sheds. */
async function writeShed(dense: string, folder: string): Promise<string> {
  await mkdir(folder);
  const model = await openModel(dense);
  try {
    const kinds = ['kv-group', 'ffn-channel'] as const;
    const target = { rules: TARGETS['llama.cpp'], shards: 1 };
    const allotment = uniformAllotment(plateGraph(model.decoder), { sparsity: SPARSITY, kinds, target });
    const ranges = kinds.flatMap((kind) =>
      allotment[kind].flatMap((count, block) => (count > 0 ? [{ kind, block, start: 0, count }] : [])),
    );
    await writeCheckpoint(await cutModel(model, Marks.of(ranges)), folder, { carryFrom: dense });
  } finally {
    await model.checkpoint.close();
  }
  return folder;
}

async function parametersOf(folder: string): Promise<number> {
  const { checkpoint } = await openModel(folder);
  await checkpoint.close();
  const sizes = [...checkpoint.tensors.values()].map(({ shape }) => shape.reduce((product, size) => product * size, 1));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** The part of node-llama-cpp that is used here. */
interface Library {
  getLlama(options: object): Promise<{
    loadModel(options: { modelPath: string }): Promise<{
      createContext(options: object): Promise<{ getSequence(): Sequence }>;
    }>;
    dispose(): Promise<void>;
  }>;
}
interface Sequence {
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number>;
  clearHistory(): Promise<void>;
}

async function measure(files: { readonly dense: string; readonly shed: string }) {
  const { getLlama } = (await import(pathToFileURL(library).href)) as Library;
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    logLevel: 'error',
  });
  try {
    const open = async (modelPath: string) => {
      const context = await (await llama.loadModel({ modelPath })).createContext({ contextSize: 128, threads: 1 });
      return context.getSequence();
    };
    const [dense, shed] = [await open(files.dense), await open(files.shed)];
    const { ours, theirs, ratio } = await interleave(
      ROUNDS,
      () => generate(shed),
      () => generate(dense),
    );
    return { tokensPerSecond: { dense: GENERATED / theirs, shed: GENERATED / ours }, ratio };
  } finally {
    await llama.dispose();
  }
}

/** Seconds of as many tokens, one by one, after a first that the prompt costs. */
async function generate(sequence: Sequence): Promise<number> {
  await sequence.clearHistory();
  let start = 0;
  let count = -1;
  for await (const _ of sequence.evaluate([5, 6, 7], { temperature: 0, yieldEogToken: true })) {
    if (count < 0) start = performance.now();
    count += 1;
    if (count === GENERATED) break;
  }
  if (count < GENERATED) throw new Error(`The model ended after ${count} tokens.`);
  return (performance.now() - start) / 1000;
}
