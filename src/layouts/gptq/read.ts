import type { Checkpoint, JsonObject } from '../../checkpoint/index.js';
import { FLOAT_DTYPES } from '../../coding/index.js';
import { recordOf, type ScaleDtype, type Scheme } from '../../quantization/index.js';
import { decodeToF32 } from '../../tensor/index.js';
import type { ConfigFields } from '../config-fields.js';
import { readGroupIndices, runLength, scatteredValues } from '../group-indices.js';
import type { QuantizedCheckpoint } from '../layout.js';
import { infoOf, nativeNames, recordTensor } from '../native-parts.js';
import { expectMatrix, expectScales, modulesWith, nativeView, wrongTensor } from '../native-view.js';
import { stripView, type ViewedTensor } from '../strips.js';
import { bytesOf, readTransposed, type StoredMatrix } from '../transpose.js';
import { NAME } from './config.js';
import { readZeroPoints } from './zero-points.js';

export const BITS: readonly number[] = [2, 3, 4, 8];

/** The layouts of tensors that config.json may name: v1, and v2, which stores zero points as they are. */
const CHECKPOINT_FORMATS = ['gptq', 'gptq_v2'];

/** One module's tensors, checked against each other. */
export interface Module {
  readonly name: string;
  readonly bits: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly groups: number;
  readonly scaleDtype: ScaleDtype;
}

/**
 * A checkpoint of GPTQ's tensors in the native form; modules whose groups are in the order of their activations (`desc_act`) as dense
 * F32. Reads the group indices and biases of each module, nothing else. Throws `unreadable`, naming the tensor, for tensors that do not
 * fit each other, `unsupported` for another format.
 */
export async function readGptq(
  source: Checkpoint,
  config: JsonObject,
  fields: ConfigFields,
): Promise<QuantizedCheckpoint> {
  const bits = fields.oneOf('bits', BITS);
  const format = fields.oneOf('checkpoint_format', CHECKPOINT_FORMATS, 'gptq');
  const groupSize = fields.groupSize('group_size');
  const isMixed = (fields.fields('dynamic')?.keys.length ?? 0) > 0;
  const consumed = new Set<string>();
  const tensors: ViewedTensor[] = [];
  for (const name of modulesWith(source, '.qweight')) {
    const module = checkedModule(source, name);
    if (module.bits !== bits && !isMixed) {
      throw wrongTensor(
        source,
        `${name}.qweight`,
        `has ${module.bits} bits by its shape, and config.json says ${bits}`,
      );
    }
    const groups = await groupsOf(source, module, isMixed ? undefined : { groupSize });
    tensors.push(...nativeTensors(source, module, groups, format === 'gptq' ? 1 : 0));
    for (const part of ['qweight', 'qzeros', 'scales', 'g_idx']) consumed.add(`${name}.${part}`);
    const bias = `${name}.bias`;
    // AutoGPTQ stores a bias with every layer, zeros where the model has none.
    if (await isZeros(source, bias)) consumed.add(bias);
  }
  return nativeView(source, config, { layout: NAME, tensors, consumed });
}

function checkedModule(source: Checkpoint, name: string): Module {
  const qweight = expectMatrix(source, `${name}.qweight`, ['I32']);
  const qzeros = expectMatrix(source, `${name}.qzeros`, ['I32']);
  const [packed, outputs] = qweight.shape as [number, number];
  const [groups, packedOutputs] = qzeros.shape as [number, number];
  const bits = (packedOutputs * 32) / outputs;
  if (outputs % 32 !== 0 || !BITS.includes(bits)) {
    const problem = `has ${packedOutputs} words for ${outputs} outputs, which is no whole number of ${BITS.join(', ')} bits each`;
    throw wrongTensor(source, qzeros.name, problem);
  }
  if (packed % bits !== 0) {
    throw wrongTensor(source, qweight.name, `has ${packed} rows, and 32 inputs of ${bits} bits fill ${bits}`);
  }
  const inputs = (packed / bits) * 32;
  const { dtype } = expectScales(source, `${name}.scales`, [groups, outputs]);
  return { name, bits, inputs, outputs, groups, scaleDtype: dtype as ScaleDtype };
}

/** Inputs of a group, where groups are runs of them, else the group of each input. */
type Groups = { readonly length: number } | { readonly indices: Uint32Array };

async function groupsOf(
  source: Checkpoint,
  { name, inputs, groups }: Module,
  config: { readonly groupSize: number | undefined } | undefined,
): Promise<Groups> {
  const indexName = `${name}.g_idx`;
  if (source.tensors.has(indexName)) {
    const indices = await readGroupIndices(source, indexName, { inputs, groups });
    const length = runLength(indices, groups);
    return length === undefined ? { indices } : { length };
  }
  const length = config === undefined ? inputs / groups : (config.groupSize ?? inputs);
  if (Number.isInteger(length) && Math.ceil(inputs / length) === groups) return { length };
  throw wrongTensor(
    source,
    `${name}.scales`,
    `has ${groups} groups, which ${inputs} inputs in groups of ${length} do not have`,
  );
}

function nativeTensors(source: Checkpoint, module: Module, groups: Groups, offset: 0 | 1): ViewedTensor[] {
  const { name, bits, inputs: columns, outputs: rows, scaleDtype } = module;
  const weight = `${name}.weight`;
  const parts = codeTensors(source, module, offset);
  if ('indices' in groups) {
    const matrix = { weight, rows, columns, bits, scaleDtype, groups: module.groups, indices: groups.indices };
    return [scatteredValues(stripView(source, parts), { ...matrix, zeroPoints: true })];
  }
  const isChannel = groups.length >= columns;
  const scheme: Scheme = {
    bits,
    type: 'int',
    symmetric: false,
    ...(isChannel ? { strategy: 'channel' as const } : { strategy: 'group' as const, groupSize: groups.length }),
    scaleDtype,
  };
  return [...parts, recordTensor(weight, recordOf(scheme, rows, columns))];
}

/** Codes, scales and zero points under their native names: the transposes of what is stored. */
function codeTensors(source: Checkpoint, module: Module, offset: 0 | 1): ViewedTensor[] {
  const { name, bits, inputs, outputs, groups, scaleDtype } = module;
  const names = nativeNames(`${name}.weight`);
  const words: StoredMatrix = {
    source,
    tensor: `${name}.qweight`,
    rows: (inputs / 32) * bits,
    columns: outputs,
    elementBytes: 4,
  };
  const scaleBytes = scaleDtype === 'F32' ? 4 : 2;
  const scales: StoredMatrix = {
    source,
    tensor: `${name}.scales`,
    rows: groups,
    columns: outputs,
    elementBytes: scaleBytes,
  };
  return [
    {
      info: infoOf(names.codes, 'U8', [outputs, (inputs / 8) * bits]),
      rowBytes: (inputs / 8) * bits,
      compute: async (first, count) => bytesOf(await readTransposed(words, first, count)),
    },
    {
      info: infoOf(names.scale, scaleDtype, [outputs, groups]),
      rowBytes: groups * scaleBytes,
      compute: async (first, count) => bytesOf(await readTransposed(scales, first, count)),
    },
    {
      info: infoOf(names.zeroPoint, 'U8', [outputs, groups]),
      rowBytes: groups,
      compute: (first, count) => readZeroPoints(source, module, { first, count, offset }),
    },
  ];
}

async function isZeros(source: Checkpoint, name: string): Promise<boolean> {
  const info = source.tensors.get(name);
  if (info === undefined || !FLOAT_DTYPES.includes(info.dtype)) return false;
  return decodeToF32(await source.read(name), info.dtype).every((value) => value === 0);
}
