import { chooseTypes, type MixTensor, mixOf, type TensorRole } from '../ggml/index.js';
import type { Model } from '../model/index.js';
import { type Scheme, schemeOf } from '../quantization/index.js';
import { DTYPES } from '../tensor/index.js';
import type { Arithmetic, Engine, GgufDtype } from './profile.js';
import type { WeightUse, Workload } from './workload.js';

/** How one weight is stored: bytes in memory and in the file, and the type of its blocks in a GGUF. */
export interface StoredWeight extends WeightUse {
  readonly bytes: number;
  readonly dtype?: GgufDtype;
}

/** A way to store a model for an engine, and what it takes to run it so. */
export interface Strategy {
  readonly name: string;
  readonly engine: Engine;
  /** What products are computed in; hardware without a unit for it computes in the next: the first that is there counts. */
  readonly arithmetic: readonly Arithmetic[];
  /** Units without which it does not pay, and what happens without them. */
  readonly needs?: { readonly arithmetic: Arithmetic; readonly otherwise: string };
  /** When it pays, in words. */
  readonly pays: string;
  /** The step of a recipe that makes it. */
  readonly step: {
    readonly scheme: string;
    readonly format: string;
    readonly algorithm?: string;
    readonly groupSize?: number;
  };
  store(workload: Workload, model: Model): readonly StoredWeight[];
}

const ROLES: Readonly<Record<string, TensorRole>> = {
  ...{ q: 'attn_q', k: 'attn_k', v: 'attn_v', qkv: 'attn_qkv', o: 'attn_output', embedding: 'embedding' },
  ...{ gate: 'ffn_gate', up: 'ffn_up', 'gate-up': 'ffn_up', down: 'ffn_down' },
};

/** One of llama.cpp's mixes: every matrix by its rule, vectors in F32. */
function mix(name: string, pays: string): Strategy {
  return {
    name,
    engine: 'llama.cpp',
    arithmetic: ['f16', 'f32'],
    pays,
    step: { scheme: name, format: 'gguf' },
    store({ weights }, { decoder }) {
      const matrices = weights.filter(({ part }) => part !== 'rest');
      const facts = {
        layers: decoder.blocks.length,
        heads: decoder.heads,
        keyValueHeads: decoder.kvHeads,
        experts: decoder.blocks[0]?.experts?.count ?? 0,
        architecture: decoder.architecture,
      };
      const types = chooseTypes(
        mixOf(name),
        matrices.map((weight) => asMixTensor(weight, decoder.tied)),
        facts,
      );
      return weights.map((weight) => inType(weight, types.get(weight.tensor)?.dtype ?? 'F32'));
    },
  };
}

function asMixTensor({ tensor, role, part, block, columns }: WeightUse, tied: boolean): MixTensor {
  const head = tied ? 'embedding' : 'output';
  return {
    name: tensor,
    role: part === 'head' ? head : (ROLES[role] ?? 'other'),
    ...(block !== undefined && { layer: block }),
    columns,
  };
}

function inType(weight: WeightUse, dtype: GgufDtype): StoredWeight {
  return { ...weight, dtype, bytes: Math.ceil((weight.rows * weight.columns * DTYPES[dtype].bits) / 8) };
}

/** Sixteen bits for each number of a matrix, in a GGUF. */
const half: Strategy = {
  name: 'f16',
  engine: 'llama.cpp',
  arithmetic: ['f16', 'f32'],
  pays: 'where memory is no question: nothing is lost',
  step: { scheme: 'fp16', format: 'gguf' },
  store: ({ weights }) => weights.map((weight) => inType(weight, weight.part === 'rest' ? 'F32' : 'F16')),
};

interface SchemeRow extends Pick<Strategy, 'arithmetic' | 'needs' | 'pays'> {
  readonly scheme: string;
  readonly groupSize?: number;
  readonly algorithm?: string;
}

/** Linear weights by a scheme in compressed-tensors; head, embedding and vectors stay in sixteen bits. */
function scheme(name: string, { scheme: of, groupSize, algorithm, ...row }: SchemeRow): Strategy {
  const record = schemeOf(of, groupSize === undefined ? {} : { groupSize });
  return {
    name,
    engine: 'vllm',
    ...row,
    step: {
      scheme: of,
      format: 'compressed-tensors',
      ...(algorithm !== undefined && { algorithm }),
      ...(groupSize !== undefined && { groupSize }),
    },
    store: ({ weights }) =>
      weights.map((weight) => {
        return {
          ...weight,
          bytes: weight.part === 'linear' ? bytesUnder(record, weight) : 2 * weight.rows * weight.columns,
        };
      }),
  };
}

function bytesUnder(
  { bits, strategy, groupSize = 1, symmetric, scaleDtype }: Scheme,
  { rows, columns }: WeightUse,
): number {
  const scales = { tensor: 1, channel: rows, group: rows * Math.ceil(columns / groupSize), block: rows }[strategy];
  const scaleBytes = bits === 16 ? 0 : scales * ((DTYPES[scaleDtype].bits + (symmetric ? 0 : bits)) / 8);
  return Math.ceil((rows * columns * bits) / 8 + scaleBytes);
}

/** Every strategy, the one that keeps most bits first within its engine. A new one is a row. */
export const strategies: readonly Strategy[] = [
  half,
  mix('q8_0', 'half the size of f16, for a loss that is hard to measure'),
  mix('q6_k', 'where q8_0 does not fit; close to it'),
  mix('q5_k_m', 'between q6_k and q4_k_m'),
  mix('q4_k_m', 'a third of the size of f16: the usual choice on CPUs and small GPUs'),
  mix('q3_k_m', 'where four bits do not fit; the loss shows'),
  mix('q2_k', 'the last that answers; try shedding plates first'),
  scheme('bf16', { scheme: 'bf16', arithmetic: ['f16', 'f32'], pays: 'where memory is no question: nothing is lost' }),
  scheme('w8a8-fp8', {
    scheme: 'w8a8-fp8',
    arithmetic: ['fp8'],
    needs: { arithmetic: 'fp8', otherwise: 'no units for FP8: vLLM would only unpack it' },
    pays: 'at large batches, where products take the time: twice the arithmetic of 16 bits',
  }),
  scheme('w8a8', {
    scheme: 'w8a8',
    algorithm: 'smoothquant',
    arithmetic: ['int8'],
    needs: { arithmetic: 'int8', otherwise: 'no units for INT8' },
    pays: 'at large batches on hardware without FP8',
  }),
  scheme('w4a16', {
    scheme: 'int4',
    groupSize: 128,
    algorithm: 'gptq',
    arithmetic: ['f16', 'f32'],
    pays: 'at small batches, where reading the weights takes the time',
  }),
];
