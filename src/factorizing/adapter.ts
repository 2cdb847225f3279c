import { type Checkpoint, type Layer, overlay, type TensorInfo } from '../checkpoint/index.js';
import {
  type CodedView,
  type CodingRecord,
  codingBytes,
  codingName,
  correctionNames,
  decodedView,
} from '../coding/index.js';
import { BirdboneError } from '../errors.js';
import type { LinearSpec, Model } from '../model/index.js';
import type { Dtype } from '../tensor/index.js';
import { allFactorizable } from './linears.js';

/** Files of a PEFT adapter's folder. */
export const ADAPTER_CONFIG = 'adapter_config.json';
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';

/**
 * The names under which PEFT looks for a linear's two factors: those of its module, within the two models that PEFT wraps it in.
 * Source: huggingface/peft, docs/source/developer_guides/checkpoint.md.
 */
export function adapterNames(weight: string): { readonly left: string; readonly right: string } {
  const module = `base_model.model.${moduleOf(weight)}`;
  return { left: `${module}.lora_B.weight`, right: `${module}.lora_A.weight` };
}

/** Which linears an adapter corrects, and how. */
export interface AdapterPlan {
  readonly linears: readonly LinearSpec[];
  readonly rank: number;
  readonly rankOf: (spec: LinearSpec) => number;
  readonly dtypeOf: (spec: LinearSpec) => Dtype;
}

/**
 * An adapter of this rank for a compressed model; of a matrix with fewer rows or columns, of that many. Throws `usage` where the
 * base is not the same model before it was compressed, `unsupported` for weights that are stored transposed and not in codes.
 */
export function adapterPlan(model: Model, before: Model, rank: number): AdapterPlan {
  const linears = allFactorizable(model);
  const others = new Map(allFactorizable(before).map((spec) => [spec.weight, spec]));
  for (const spec of linears) refuseOtherShape(spec, others.get(spec.weight), before);
  for (const spec of linears)
    if (spec.layout === 'in-out' && recordOf(model, spec).kind === 'plain') throw transposed(spec);
  const types = before.checkpoint.tensors;
  return {
    linears,
    rank,
    rankOf: ({ rows, columns }) => Math.min(rank, rows, columns),
    dtypeOf: ({ weight }) => {
      const dtype = types.get(weight)!.dtype;
      return dtype === 'F32' || dtype === 'F16' ? dtype : 'BF16';
    },
  };
}

/** The tensors of an adapter: B [rows, rank] and A [rank, columns] of each linear. */
export function adapterTensors({ linears, rankOf, dtypeOf }: AdapterPlan): readonly TensorInfo[] {
  return linears.flatMap((spec) => {
    const { weight, rows, columns } = spec;
    const [names, rank, dtype] = [adapterNames(weight), rankOf(spec), dtypeOf(spec)];
    const bytes = (dtype === 'F32' ? 4 : 2) * rank;
    return [
      { name: names.left, dtype, shape: [rows, rank], byteLength: bytes * rows },
      { name: names.right, dtype, shape: [rank, columns], byteLength: bytes * columns },
    ];
  });
}

/**
 * What PEFT reads beside the tensors, as it writes it itself: its factor lora_alpha / r is 1, for the factors are what is to be added.
 * Linears of another rank are named one by one. `base` is where the compressed model lies.
 */
export function adapterConfig({ linears, rank, rankOf }: AdapterPlan, base: string): string {
  const others = linears.filter((spec) => rankOf(spec) !== rank);
  const pattern = Object.fromEntries(others.map((spec) => [moduleOf(spec.weight), rankOf(spec)]));
  const config = {
    alpha_pattern: pattern,
    base_model_name_or_path: base,
    bias: 'none',
    fan_in_fan_out: linears.some(({ layout }) => layout === 'in-out'),
    inference_mode: true,
    lora_alpha: rank,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: rank,
    rank_pattern: pattern,
    target_modules: [...new Set(linears.map(({ weight }) => moduleOf(weight).split('.').at(-1)!))].sort(),
    task_type: 'CAUSAL_LM',
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** The compressed model with an adapter's products added to its weights: what PEFT computes, read as one model. */
export async function withAdapter(model: Model, adapter: Checkpoint): Promise<Model> {
  const { checkpoint } = model;
  const raw = 'raw' in checkpoint ? (checkpoint as CodedView).raw : checkpoint;
  const view = await decodedView(overlay(raw, [adapterLayer(model, raw, adapter)]));
  return { ...model, checkpoint: view };
}

/** The adapter as a layer over the compressed model's own tensors: corrections beside each weight (src/coding). */
function adapterLayer(model: Model, raw: Checkpoint, adapter: Checkpoint): Layer {
  const values = new Map<string, TensorInfo>();
  const added = new Map<string, TensorInfo>();
  const read = new Map<string, () => Promise<Uint8Array>>();
  const put = (info: TensorInfo, bytes: () => Promise<Uint8Array>) => {
    (raw.tensors.has(info.name) ? values : added).set(info.name, info);
    read.set(info.name, bytes);
  };
  for (const spec of allFactorizable(model)) {
    const [own, stored] = [correctionNames(spec.weight), adapterNames(spec.weight)];
    for (const side of ['left', 'right'] as const) {
      const info = adapter.tensors.get(stored[side])!;
      put({ ...info, name: own[side] }, () => adapter.read(info.name));
    }
    const rank = adapter.tensors.get(stored.right)!.shape[0]!;
    const record = codingBytes({ ...recordOf(model, spec), correction: rank });
    const info = {
      name: codingName(spec.weight),
      dtype: 'U8' as const,
      shape: [record.length],
      byteLength: record.length,
    };
    put(info, async () => record);
  }
  return {
    path: adapter.path,
    masks: new Map(),
    xors: new Map(),
    values,
    added,
    readMask: () => Promise.reject(new RangeError('an adapter has no masks')),
    readDifference: () => Promise.reject(new RangeError('an adapter has no differences')),
    readValues: async (name, { offset, length }) => (await read.get(name)!()).slice(offset, offset + length),
    close: async () => {},
  };
}

function recordOf({ checkpoint }: Model, { weight, rows, columns, layout }: LinearSpec): CodingRecord {
  const coded = 'coded' in checkpoint ? (checkpoint as CodedView).coded.get(weight) : undefined;
  return coded ?? { kind: 'plain', rows, columns, ...(layout === 'in-out' && { layout }) };
}

/** GPT-2's checkpoints leave out the name of the module that its blocks are in. */
function moduleOf(weight: string): string {
  const module = weight.replace(/\.weight$/, '');
  return module.startsWith('h.') ? `transformer.${module}` : module;
}

function refuseOtherShape(spec: LinearSpec, other: LinearSpec | undefined, before: Model): void {
  if (other !== undefined && other.rows === spec.rows && other.columns === spec.columns) return;
  const found = other === undefined ? 'has no such matrix' : `has one of [${other.rows}, ${other.columns}]`;
  throw new BirdboneError(
    'usage',
    `${spec.weight} is [${spec.rows}, ${spec.columns}]; the base ${before.checkpoint.path} ${found}.`,
    {
      file: before.checkpoint.path,
      tensor: spec.weight,
      suggestions: ['Name the model that was compressed, with all of its plates: --base DIR'],
    },
  );
}

function transposed({ weight }: LinearSpec): BirdboneError {
  return new BirdboneError('unsupported', `${weight} is stored transposed and not in codes: it cannot be corrected.`, {
    tensor: weight,
    suggestions: ['Quantize the model first: birdbone quantize MODEL --out DIR --scheme int4 --format native'],
  });
}
