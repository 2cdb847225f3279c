import type { Checkpoint, JsonObject } from '../../checkpoint/index.js';
import { recordOf, type ScaleDtype, type Scheme, tilesOf } from '../../quantization/index.js';
import type { ConfigFields } from '../config-fields.js';
import { readGroupIndices, runLength, scatteredValues } from '../group-indices.js';
import type { QuantizedCheckpoint } from '../layout.js';
import { recordTensor } from '../native-parts.js';
import { nativeView, wrongTensor } from '../native-view.js';
import { stripView, type ViewedTensor } from '../strips.js';
import { readCalibrated } from './read-calibrated.js';
import { type Group, readGroups, type WeightArgs } from './read-groups.js';
import { type ModuleParts, partsOf } from './read-parts.js';
import { NAME } from './scheme-form.js';
import { closest } from './targets.js';

/**
 * A checkpoint of compressed-tensors in the native form. Reads the shapes of packed weights, static scales and group indices, nothing else.
 * Throws `unreadable`, naming the tensor, for tensors that do not fit each other or the config, `unsupported` for formats that are not
 * read (NVFP4, MXFP4, sparse ones, transforms), naming the field.
 */
export async function readCompressedTensors(
  source: Checkpoint,
  config: JsonObject,
  fields: ConfigFields,
): Promise<QuantizedCheckpoint> {
  fields.oneOf('quantization_status', ['compressed'], 'compressed');
  for (const key of ['sparsity_config', 'transform_config']) refuseMore(fields, key);
  const groups = readGroups(fields);
  const consumed = new Set<string>();
  const tensors: ViewedTensor[] = [];
  let roundsInputs = false;
  for (const name of quantizedModules(source)) {
    const group = closest(groups, name);
    const weight = source.tensors.has(`${name}.weight_packed`) ? `${name}.weight_packed` : `${name}.weight`;
    if (group?.weights === undefined) {
      throw wrongTensor(source, weight, 'is quantized, and no group of config.json targets it');
    }
    const args = group.weights;
    const parts = await partsOf(source, name, args);
    for (const part of parts.consumed) consumed.add(part);
    const activations = activationsOf(group, parts);
    tensors.push(...(await nativeTensors(source, parts, args, activations)));
    roundsInputs ||= group.inputs !== 'none' && activations === undefined;
  }
  const calibrated = await readCalibrated(source, consumed);
  for (const name of calibrated.consumed) consumed.add(name);
  const { size: cached } = calibrated.extras.kvScales ?? new Map();
  const notices = [...(roundsInputs ? [ROUNDED_INPUTS] : []), ...(cached > 0 ? [cacheNotice(cached)] : [])];
  return nativeView(source, config, { layout: NAME, tensors, consumed, extras: calibrated.extras, notices });
}

const ROUNDED_INPUTS =
  'config.json asks engines to round inputs of its layers to 8 bits in a way that is not simulated here.';

function cacheNotice(blocks: number): string {
  return `Keys and values of ${blocks} ${blocks === 1 ? 'block' : 'blocks'} are rounded to FP8 with the scales that lie beside the weights, as an engine's cache has them.`;
}

/** A config that asks for more than quantized weights: values would be others than those that engines compute with. */
function refuseMore(fields: ConfigFields, key: string): void {
  const more = fields.fields(key);
  if (more === undefined || more.keys.length === 0 || more.value('format') === 'dense') return;
  throw fields.wrong(key, 'birdbone reads models without it');
}

/** Modules with packed integers, with weights of 8 bits, and with scales alone: those miss their weight, and must not pass unseen. */
function quantizedModules({ tensors }: Checkpoint): string[] {
  const modules = new Set<string>();
  for (const { name, dtype } of tensors.values()) {
    const [, module, part] = /^(.*)\.(weight|weight_packed|weight_scale)$/s.exec(name) ?? [];
    if (module === undefined || (part === 'weight' && dtype !== 'I8' && dtype !== 'F8_E4M3')) continue;
    modules.add(module);
  }
  return [...modules];
}

function activationsOf({ inputs, inputType }: Group, { scheme }: ModuleParts): Scheme['activations'] {
  const isRows = scheme.strategy === 'channel' || scheme.strategy === 'tensor';
  if (inputs !== 'dynamic' || !isRows || !scheme.symmetric || scheme.bits !== 8) return undefined;
  if (scheme.type === 'int') return inputType === 'int' ? 'int8' : undefined;
  return inputType === 'float' ? 'fp8' : undefined;
}

async function nativeTensors(
  source: Checkpoint,
  parts: ModuleParts,
  args: WeightArgs,
  activations: Scheme['activations'],
): Promise<ViewedTensor[]> {
  const { name, rows, columns, tensors } = parts;
  const weight = `${name}.weight`;
  const scheme = { ...parts.scheme, ...(activations && { activations }) };
  const record = recordTensor(weight, recordOf(scheme, rows, columns));
  if (!args.isReordered) return [...tensors, record];
  const groups = tilesOf(scheme, rows, columns).grid[1];
  const indices = await readGroupIndices(source, `${name}.weight_g_idx`, { inputs: columns, groups });
  if (runLength(indices, groups) === scheme.groupSize) return [...tensors, record];
  const scaleDtype: ScaleDtype = scheme.scaleDtype;
  const matrix = { weight, rows, columns, bits: scheme.bits, scaleDtype, groups, indices };
  return [scatteredValues(stripView(source, tensors), { ...matrix, zeroPoints: !scheme.symmetric })];
}
