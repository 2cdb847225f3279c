import path from 'node:path';
import { type Checkpoint, type JsonObject, quoted, type TensorInfo } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type Architecture, weightName } from './architecture.js';
import { architectures } from './architectures.js';
import { type DecoderConfig, readConfig } from './config.js';
import type { BlockSpec, Decoder, LinearInput, LinearRole, LinearSpec } from './decoder.js';

/** Element types that a weight may have; the others are quantized and need scales that nothing here reads. */
const WEIGHT_DTYPES: readonly string[] = ['F32', 'F16', 'BF16', 'F64'];

/**
 * Returns what the checkpoint's tensors mean under the config (config.json parsed; `file` is what errors call it).
 * Every stored tensor is claimed exactly once, with the shape that the config implies; only embedding and head may be
 * the same one.
 * Throws `unsupported` for a model or an option that is not run (by name, with what is), `unreadable` for a config that
 * is malformed and for a tensor that is missing, left over or of another shape.
 */
export async function describeModel(
  checkpoint: Checkpoint,
  config: JsonObject,
  file = path.join(checkpoint.path, 'config.json'),
): Promise<Decoder> {
  const type = config['model_type'];
  if (typeof type !== 'string' || !architectures.names.includes(type)) {
    const found = typeof type === 'string' ? `is a ${quoted(type)} model` : 'names no model_type';
    const known = architectures.names.join(', ');
    throw new BirdboneError('unsupported', `${file} ${found}. Supported: ${known}.`, { file });
  }
  const architecture = await architectures.load(type);
  return claimTensors(checkpoint, readConfig(config, architecture, file), architecture);
}

function claimTensors(checkpoint: Checkpoint, config: DecoderConfig, architecture: Architecture): Decoder {
  const claims = new Claims(checkpoint);
  const { layers, attentionBias, mlpBias, tieHead, ...numbers } = config;
  const { weights } = architecture;
  const tableShape = [config.vocabulary, config.hidden];
  const embedding = claims.claim(tiedName(checkpoint, weights.embedding, tieHead, architecture), tableShape);
  const headName = tiedName(checkpoint, weights.head, tieHead, architecture);
  const head = claims.storedName(headName) === embedding ? embedding : claims.claim(headName, tableShape);
  const finalNorm = claims.claim(weights.finalNorm, [config.hidden]);
  const blocks = Array.from({ length: layers }, (_, index) => claimBlock(claims, index, config, architecture));
  claims.refuseSurplus(architecture.leftovers);
  return {
    architecture: architecture.modelType,
    ...numbers,
    blocks,
    embedding,
    finalNorm,
    head,
    tied: embedding === head,
  };
}

/**
 * The name under which a tensor that may be tied is found. Ties count only for a name that is neither stored nor an
 * alias: a file that stores both keeps both, also when its config says they are one.
 */
function tiedName(checkpoint: Checkpoint, name: string, tie: boolean, { ties }: Architecture): string {
  const has = (candidate: string) => checkpoint.tensors.has(candidate) || checkpoint.aliases.has(candidate);
  if (!tie || has(name)) return name;
  const twin = ties.find((pair) => pair.includes(name))?.find((other) => other !== name);
  return twin !== undefined && has(twin) ? twin : name;
}

interface LinearRow {
  readonly role: LinearRole;
  readonly input: LinearInput;
  readonly rows: number;
  readonly columns: number;
  readonly bias: boolean;
}

function claimBlock(claims: Claims, index: number, config: DecoderConfig, { weights }: Architecture): BlockSpec {
  const linears = linearRows(config).map(({ bias, ...row }): LinearSpec => {
    const name = weightName(weights[row.role], index);
    const weight = claims.claim(`${name}.weight`, [row.rows, row.columns]);
    return { ...row, weight, ...(bias ? { bias: claims.claim(`${name}.bias`, [row.rows]) } : {}) };
  });
  return {
    index,
    linears,
    attentionNorm: claims.claim(weightName(weights.attentionNorm, index), [config.hidden]),
    ffnNorm: claims.claim(weightName(weights.ffnNorm, index), [config.hidden]),
  };
}

function linearRows(config: DecoderConfig): LinearRow[] {
  const { hidden, ffn, attentionBias, mlpBias } = config;
  const queries = config.heads * config.headDim;
  const keys = config.kvHeads * config.headDim;
  return [
    { role: 'q', input: 'attention-norm', rows: queries, columns: hidden, bias: attentionBias },
    { role: 'k', input: 'attention-norm', rows: keys, columns: hidden, bias: attentionBias },
    { role: 'v', input: 'attention-norm', rows: keys, columns: hidden, bias: attentionBias },
    { role: 'o', input: 'attention-out', rows: hidden, columns: queries, bias: attentionBias },
    { role: 'gate', input: 'ffn-norm', rows: ffn, columns: hidden, bias: mlpBias },
    { role: 'up', input: 'ffn-norm', rows: ffn, columns: hidden, bias: mlpBias },
    { role: 'down', input: 'ffn-inner', rows: hidden, columns: ffn, bias: mlpBias },
  ];
}

/** Which stored tensors have found their meaning. */
class Claims {
  readonly #checkpoint: Checkpoint;
  readonly #claimed = new Set<string>();

  constructor(checkpoint: Checkpoint) {
    this.#checkpoint = checkpoint;
  }

  storedName(name: string): string {
    return this.#checkpoint.aliases.get(name) ?? name;
  }

  /**
   * Returns the stored name behind `name`. Throws `unreadable` unless it is there with that shape, `unsupported` for a
   * dtype that is no weight's and for a tensor that already means something else: compressing one of the two would
   * change both.
   */
  claim(name: string, shape: readonly number[]): string {
    const stored = this.storedName(name);
    const info = this.#checkpoint.tensors.get(stored);
    const expected = `[${shape.join(', ')}]`;
    if (info === undefined) throw this.#wrong(name, `it is missing; config.json implies it with shape ${expected}`);
    if (info.shape.join() !== shape.join()) {
      throw this.#wrong(stored, `its shape is [${info.shape.join(', ')}]; config.json implies ${expected}`);
    }
    this.#refuseDtype(info);
    if (this.#claimed.has(stored)) {
      throw this.#unsupported(stored, `is also ${name} by an alias; only embedding and head may share a tensor`);
    }
    this.#claimed.add(stored);
    return stored;
  }

  refuseSurplus(leftovers: readonly RegExp[]): void {
    const surplus = [...this.#checkpoint.tensors.keys()].filter(
      (name) => !this.#claimed.has(name) && !leftovers.some((pattern) => pattern.test(name)),
    );
    if (surplus.length === 0) return;
    const others = surplus.length === 1 ? '' : ` (and ${surplus.length - 1} more)`;
    throw this.#wrong(surplus[0]!, `config.json implies no such tensor${others}`);
  }

  #refuseDtype({ name, dtype }: TensorInfo): void {
    if (WEIGHT_DTYPES.includes(dtype)) return;
    throw this.#unsupported(name, `is ${dtype}; weights of these types are run: ${WEIGHT_DTYPES.join(', ')}`);
  }

  #unsupported(tensor: string, what: string): BirdboneError {
    const { path: file } = this.#checkpoint;
    return new BirdboneError('unsupported', `Tensor ${tensor} of ${file} ${what}.`, { file, tensor });
  }

  #wrong(tensor: string, reason: string): BirdboneError {
    const { path: file } = this.#checkpoint;
    return new BirdboneError('unreadable', `Cannot use tensor ${tensor} of ${file}: ${reason}.`, { file, tensor });
  }
}
