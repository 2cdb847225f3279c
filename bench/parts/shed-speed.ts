import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { writeCheckpoint } from '../../src/checkpoint/index.js';
import { convert } from '../../src/conversion/index.js';
import { openModel } from '../../src/model/index.js';
import { Marks, plateGraph, TARGETS } from '../../src/plates/index.js';
import { cutModel, uniformAllotment } from '../../src/shedding/index.js';
import { openInLlama } from '../llama-speed.js';
import { markdownTable } from '../record.js';
import { writeSyntheticLlama } from '../synthetic-llama.js';
import { interleave } from '../timing.js';
import { partOf } from './part.js';

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

export default partOf('A shed model in llama.cpp against the dense one', shedSpeed, renderShedSpeed);

/**
 * Tokens that llama.cpp generates in a second from a synthetic model of 100 million parameters, and from the same model with a
 * quarter of its heads and channels shed for llama.cpp: medians of paired runs, F16, on one core. Needs `npm run setup:llama`.
 */
async function shedSpeed(): Promise<ShedSpeed> {
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-speed-'));
  try {
    const dense = await writeSyntheticLlama(path.join(folder, 'dense'), SHAPE);
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

function renderShedSpeed({ parameters, tokensPerSecond, ratio }: ShedSpeed): string {
  const row = (name: 'dense' | 'shed') => [name, String(parameters[name]), tokensPerSecond[name].toFixed(2)];
  return markdownTable(
    ['model', 'parameters', 'tokens in a second', 'times dense'],
    [
      [...row('dense'), ''],
      [...row('shed'), ratio.toFixed(3)],
    ],
  );
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

async function measure(files: { readonly dense: string; readonly shed: string }) {
  const { models, dispose } = await openInLlama([files.dense, files.shed]);
  try {
    const [dense, shed] = models;
    const { ours, theirs, ratio } = await interleave(
      ROUNDS,
      () => shed!.generate(GENERATED),
      () => dense!.generate(GENERATED),
    );
    return { tokensPerSecond: { dense: GENERATED / theirs, shed: GENERATED / ours }, ratio };
  } finally {
    await dispose();
  }
}
