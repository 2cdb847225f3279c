import { existsSync } from 'node:fs';
import path from 'node:path';
import {
  type Checkpoint,
  ggufMetadata,
  type JsonObject,
  openCheckpoint,
  quoted,
  type TensorInfo,
} from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { architectures } from './architectures.js';
import { WEIGHT_DTYPES } from './claims.js';
import type { BlockSpec, Decoder, LinearSpec, Model } from './decoder.js';
import { folderOf, openModel, readConfigFile } from './model.js';

/**
 * Opens a model for work on its weights alone. One that `openModel` understands is opened by that; of one with another
 * `model_type`, or without config.json, every matrix of floats is listed as a linear whose role is `weight`, and the decoder's
 * `refusal` says why it cannot be run. Embeddings and heads, as far as their names give them away, are left out. The caller closes
 * `model.checkpoint`. Throws as `openModel` does, for what is known and wrong, and for quantized
 * weights; `unsupported` when there is no such matrix.
 */
export async function openPrunable(checkpointPath: string): Promise<Model> {
  const file = path.join(await folderOf(checkpointPath), 'config.json');
  const config = existsSync(file) ? await readConfigFile(file) : undefined;
  if (config !== undefined && isKnown(config)) return openModel(checkpointPath);
  const checkpoint = await openCheckpoint(checkpointPath);
  // A GGUF says itself what it is; and scales of quantized weights look like weights.
  if (ggufMetadata(checkpoint) !== undefined || config?.['quantization_config'] != null) {
    await checkpoint.close();
    return openModel(checkpointPath);
  }
  const decoder = weightsOf(checkpoint, reasonOf(config, file));
  if (decoder.blocks.length > 0) return { checkpoint, decoder };
  await checkpoint.close();
  const message = `${checkpointPath} cannot be run (${decoder.refusal}), and it has no matrix of floats to score or prune.`;
  throw new BirdboneError('unsupported', message, { file: checkpointPath });
}

function isKnown({ model_type: type }: JsonObject): boolean {
  return typeof type === 'string' && architectures.names.includes(type);
}

function reasonOf(config: JsonObject | undefined, file: string): string {
  if (config === undefined) return `there is no ${file} that says how it computes`;
  const type = config['model_type'];
  return `${file} ${typeof type === 'string' ? `says that it is a ${quoted(type)} model` : 'names no model_type'}`;
}

/** What stands for a model of which nothing but its matrices is known: its sizes are 0. */
function weightsOf(checkpoint: Checkpoint, refusal: string): Decoder {
  const sizes = { hidden: 0, heads: 0, kvHeads: 0, headDim: 0, ffn: 0, vocabulary: 0, maxContext: 0 };
  return {
    architecture: 'unknown',
    refusal,
    ...sizes,
    norm: 'rms',
    normEpsilon: 0,
    activation: 'silu',
    parallelResidual: false,
    ropeTheta: 0,
    ropeScaling: { kind: 'none' },
    eosTokenIds: [],
    blocks: numberedBlocks([...checkpoint.tensors.values()].filter(isPrunable)),
    embedding: '',
    finalNorm: '',
    head: '',
    tied: false,
  };
}

/** Names of embeddings and output heads in the families that transformers and timm have. */
const TABLES =
  /(^|[._])(w[tpe]e|embed\w*|embeddings?|emb|lm_head|head|classifier|logits|relative_attention_bias)([._]|$)/i;

function isPrunable({ name, shape, dtype }: TensorInfo): boolean {
  const isMatrix = shape.length === 2 && shape.every((side) => side > 1);
  return isMatrix && WEIGHT_DTYPES.includes(dtype) && !TABLES.test(name);
}

/** Matrices whose names agree up to their first number (`encoder.layer.3.`) make a block; the others one each. In natural order. */
function numberedBlocks(matrices: readonly TensorInfo[]): BlockSpec[] {
  const order = new Intl.Collator('en', { numeric: true });
  const groups = new Map<string, LinearSpec[]>();
  for (const { name, shape } of [...matrices].sort((a, b) => order.compare(a.name, b.name))) {
    const key = /^.*?\.\d+\./.exec(name)?.[0] ?? name;
    const [rows, columns] = shape as [number, number];
    const linear: LinearSpec = { role: 'weight', input: 'unknown', weight: name, rows, columns };
    groups.set(key, [...(groups.get(key) ?? []), linear]);
  }
  const nothing = { attention: false, feedForward: false, heads: 0, kvHeads: 0, headDim: 0, ffn: 0, vectors: [] };
  return [...groups.values()].map((linears, index) => ({ index, ...nothing, linears }));
}
