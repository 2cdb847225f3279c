import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type GgufValue, GgufWriter, openCheckpoint, type TensorInfo } from '../../src/checkpoint/index.js';
import { chooseTypes, fallbackNotices, type MixTensor, mixes, mixOf, roleOfGguf } from '../../src/ggml/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { llamaMissing, quantizeModels } from '../llama/llama.js';

interface Subject {
  readonly name: string;
  readonly architecture?: string;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly experts?: number;
  readonly weighted?: boolean;
  readonly columns?: number;
  /** Tensors outside the blocks. */
  readonly ends?: readonly string[];
  readonly parts?: readonly string[];
}

const PARTS = ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down', 'ffn_norm'];
const EXPERT_PARTS = [...PARTS.slice(0, 4), 'ffn_gate_inp', 'ffn_gate_exps', 'ffn_up_exps', 'ffn_down_exps'];
const ENDS = ['token_embd', 'output_norm', 'output'];

const SUBJECTS: readonly Subject[] = [
  { name: '34 layers', layers: 34, heads: 8, keyValueHeads: 8 },
  { name: 'tied, grouped', layers: 5, heads: 8, keyValueHeads: 2, ends: ['token_embd', 'output_norm'] },
  { name: '70B', layers: 80, heads: 64, keyValueHeads: 8 },
  { name: '65B', layers: 80, heads: 64, keyValueHeads: 64, parts: ['attn_v', 'ffn_down'] },
  {
    name: '70B of Qwen',
    architecture: 'qwen2',
    layers: 80,
    heads: 64,
    keyValueHeads: 8,
    parts: ['attn_v', 'ffn_down'],
  },
  { name: 'eight experts', layers: 9, heads: 8, keyValueHeads: 2, experts: 8, parts: EXPERT_PARTS },
  { name: 'an importance matrix', layers: 17, heads: 8, keyValueHeads: 4, weighted: true },
  { name: 'rows of 96', layers: 3, heads: 8, keyValueHeads: 2, columns: 96 },
  {
    name: 'fused qkv',
    architecture: 'gptneox',
    layers: 17,
    heads: 8,
    keyValueHeads: 8,
    parts: ['attn_qkv', 'ffn_down'],
  },
];

/** A GGUF whose tensors have one or two rows each: llama.cpp asks for no more of a model that it quantizes. */
async function write(subject: Subject, folder: string): Promise<{ file: string; infos: TensorInfo[] }> {
  const { architecture = 'llama', layers, heads, keyValueHeads, experts = 0, columns = 256 } = subject;
  const u32 = (value: number): GgufValue => ({ type: 'u32', value });
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: architecture }],
    [`${architecture}.block_count`, u32(layers)],
    [`${architecture}.context_length`, u32(128)],
    [`${architecture}.embedding_length`, u32(heads * 8)],
    [`${architecture}.feed_forward_length`, u32(columns)],
    [`${architecture}.attention.head_count`, u32(heads)],
    [`${architecture}.attention.head_count_kv`, u32(keyValueHeads)],
    [`${architecture}.attention.layer_norm_rms_epsilon`, { type: 'f32', value: 1e-5 }],
    [`${architecture}.attention.layer_norm_epsilon`, { type: 'f32', value: 1e-5 }],
    [`${architecture}.use_parallel_residual`, { type: 'bool', value: true }],
    [`${architecture}.vocab_size`, u32(2)],
    ...(experts === 0
      ? []
      : ([
          [`${architecture}.expert_count`, u32(experts)],
          [`${architecture}.expert_used_count`, u32(2)],
        ] as const)),
  ]);
  const names = [
    ...(subject.ends ?? ENDS),
    ...Array.from({ length: layers }, (_, i) => (subject.parts ?? PARTS).map((part) => `blk.${i}.${part}`)).flat(),
  ].map((name) => `${name}.weight`);
  const infos = names.map((name): TensorInfo => {
    const shape = name.includes('norm') ? [columns] : name.includes('exps') ? [experts, 1, columns] : [2, columns];
    return { name, dtype: 'F32', shape, byteLength: 4 * shape.reduce((product, size) => product * size, 1) };
  });
  const file = path.join(folder, `${subject.name}.gguf`);
  const writer = await GgufWriter.create(file, metadata, infos);
  for (const { name, byteLength } of infos) {
    const values = Float32Array.from({ length: byteLength / 4 }, (_, i) => Math.sin(i + name.length));
    await writer.write(name, 0, new Uint8Array(values.buffer));
  }
  await writer.commit();
  return { file, infos };
}

function ourTypes(mix: string, subject: Subject, infos: readonly TensorInfo[]): Record<string, string> {
  const tensors = infos.flatMap(({ name, shape }): MixTensor[] => {
    const found = shape.length < 2 ? undefined : roleOfGguf(name);
    return found === undefined ? [] : [{ name, columns: shape.at(-1)!, ...found }];
  });
  const choices = chooseTypes(mixOf(mix), tensors, { architecture: 'llama', ...subject });
  return Object.fromEntries(infos.map(({ name }) => [name, choices.get(name)?.dtype ?? 'F32']));
}

describe.skipIf(llamaMissing !== undefined)(llamaMissing ?? 'the mixes, as llama.cpp makes them', () => {
  it.each(SUBJECTS)('$name', { timeout: 60_000 }, async (subject) => {
    const folder = temporaryFolder();
    const { file, infos } = await write(subject, folder);
    const columns = subject.columns ?? 256;
    // Under an importance matrix llama.cpp wants as many weights as a tensor's rows and experts have columns.
    const weights = Object.fromEntries(infos.map(({ name }) => [name, Array.from({ length: columns }, () => 1)]));
    const jobs = mixes.map(({ name, fileType }) => ({
      input: file,
      output: path.join(folder, `${name}.gguf`),
      ftype: fileType,
      weights: subject.weighted === true ? weights : {},
    }));
    quantizeModels(jobs);
    for (const [i, { name }] of mixes.entries()) {
      const theirs = await openCheckpoint(jobs[i]!.output);
      const types = Object.fromEntries(infos.map((info) => [info.name, theirs.tensors.get(info.name)!.dtype]));
      await theirs.close();
      expect(ourTypes(name, subject, infos), name).toEqual(types);
    }
  });
});

describe('mixOf', () => {
  it('knows the names in any case of letters, and the short ones', () => {
    expect(mixOf('Q4_K_M').base).toBe('Q4_K');
    expect(mixOf('q4_k')).toBe(mixOf('q4_k_m'));
    expect(mixOf('q3_k').name).toBe('Q3_K_M');
  });

  it('refuses another name with the nearest one', () => {
    expect(() => mixOf('q4_k_l')).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining('q2_k, q3_k_s') }),
    );
  });
});

describe('chooseTypes', () => {
  const tensor = (name: string, columns: number): MixTensor => ({ name, columns, ...roleOfGguf(name)! });
  const model = { layers: 1, heads: 4, keyValueHeads: 4 };

  it('gives F16 to rows that no block divides, where llama.cpp may refuse the model', () => {
    const tensors = [tensor('blk.0.attn_q.weight', 80), tensor('output.weight', 64)];
    expect(chooseTypes(mixOf('q4_k_m'), tensors, model).get('blk.0.attn_q.weight')).toEqual({
      dtype: 'F16',
      wanted: 'Q4_K',
    });
    expect(chooseTypes(mixOf('q8_0'), tensors, model).get('blk.0.attn_q.weight')).toEqual({
      dtype: 'F16',
      wanted: 'Q8_0',
    });
  });

  it('says what fell back, once for each kind', () => {
    const tensors = [0, 1, 2, 3, 4].map((layer) => tensor(`blk.${layer}.attn_q.weight`, 96));
    expect(fallbackNotices(tensors, chooseTypes(mixOf('q4_k_s'), tensors, model))).toEqual([
      '5 tensors are Q5_0 in place of Q4_K: rows of 96 are no whole number of blocks of 256 (blk.0.attn_q.weight, blk.1.attn_q.weight, blk.2.attn_q.weight and 2 more).',
    ]);
    const fitting = [tensor('blk.0.attn_q.weight', 512)];
    expect(fallbackNotices(fitting, chooseTypes(mixOf('q4_k_s'), fitting, model))).toEqual([]);
  });
});
