import type { Checkpoint, JsonObject } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { nearest } from '../nearest.js';
import { ConfigFields } from './config-fields.js';
import type { QuantizedCheckpoint } from './layout.js';

type Reader = (source: Checkpoint, config: JsonObject, fields: ConfigFields) => Promise<QuantizedCheckpoint>;

/** Readers by what config.json calls the method. */
const READERS: Readonly<Record<string, () => Promise<Reader>>> = {
  'compressed-tensors': async () => (await import('./compressed-tensors/read.js')).readCompressedTensors,
  gptq: async () => (await import('./gptq/read.js')).readGptq,
  awq: async () => (await import('./awq/read.js')).readAwq,
};

/** Names of what no model has but a quantized one. */
const QUANTIZED_TENSORS = /\.(?:qweight|weight_packed|weight_scale|(?:k|v|kv)_scale|[kv]_proj\.output_scale)$/;

/** Whether some tensor looks like one of a layout's, by its name. */
export function hasQuantizedTensors({ tensors }: Checkpoint): boolean {
  return [...tensors.keys()].some((name) => QUANTIZED_TENSORS.test(name));
}

/** Whether a config.json says that the weights beside it are quantized. */
export function saysQuantized(config: JsonObject): boolean {
  return config['quantization_config'] != null;
}

/**
 * The native form of a checkpoint whose config.json has a `quantization_config`: a view that decodes nothing and reads by strips, with the
 * config.json that is left among its companions. `file` is what errors call the config. Closing it closes `source`.
 *
 * Throws `unsupported` for a method or scheme that is not read, naming the field; `unreadable`, naming the tensor, for tensors that
 * are missing, or have other types or shapes than the scheme asks for.
 */
export async function readQuantized(
  source: Checkpoint,
  config: JsonObject,
  file: string,
): Promise<QuantizedCheckpoint> {
  const fields = new ConfigFields(file, 'quantization_config', config['quantization_config']);
  const method = fields.value('quant_method');
  const known = Object.keys(READERS);
  const reader = typeof method === 'string' && Object.hasOwn(READERS, method) ? READERS[method] : undefined;
  if (reader !== undefined) return (await reader())(source, config, fields);
  const found = JSON.stringify(method)?.slice(0, 80) ?? 'absent';
  throw new BirdboneError('unsupported', `${file} has the quantization method ${found}. Read: ${known.join(', ')}.`, {
    file,
    suggestions: typeof method === 'string' ? nearest(method, known).slice(0, 1) : [],
  });
}
