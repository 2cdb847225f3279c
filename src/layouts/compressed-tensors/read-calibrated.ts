import type { Checkpoint } from '../../checkpoint/index.js';
import { elementsOf } from '../../checkpoint/index.js';
import { expectPart, FLOAT_DTYPES } from '../../coding/index.js';
import { decodeToF32 } from '../../tensor/index.js';
import type { KvScales, LayoutExtras } from '../layout.js';
import { wrongTensor } from '../native-view.js';

/**
 * Names that scales of keys and of values have had, with the block's number in front: beside the projections, within them, as what
 * they give, and one for both. Source: vLLM, model_loader/weight_utils.py (`maybe_remap_kv_scale_name`).
 */
const KV_SCALES: readonly RegExp[] = [
  /\.(\d{1,6})\.[^.]+\.(?:attn\.|(?:[kv]|qkv)_proj\.)?([kv])_scale$/,
  /\.(\d{1,6})\.[^.]+\.([kv])_proj\.output_scale$/,
  /\.(\d{1,6})\.[^.]+\.(kv)_scale$/,
];
const INPUT_SCALE = /\.input_scale$/;
/** Of schemes that are asymmetric in their inputs, and of queries: engines use them, and no weight depends on them. */
const OTHERS = /\.(?:input_zero_point|q_scale|[kvq]_zero_point)$/;

export interface Calibrated {
  readonly extras: LayoutExtras;
  readonly consumed: readonly string[];
}

/** The scales that calibration found for caches and inputs. Throws `unreadable`, naming the tensor, for one that is no positive number. */
export async function readCalibrated(source: Checkpoint, taken: ReadonlySet<string>): Promise<Calibrated> {
  const consumed: string[] = [];
  const kvScales = new Map<number, Partial<KvScales>>();
  const inputScales = new Map<string, number>();
  for (const name of source.tensors.keys()) {
    const kv = KV_SCALES.map((form) => form.exec(name)).find((found) => found !== null);
    const isInput = INPUT_SCALE.test(name);
    if (taken.has(name) || !(kv || isInput || OTHERS.test(name))) continue;
    consumed.push(name);
    if (kv) await addScale(kvScales, kv, { source, name });
    if (isInput) inputScales.set(name.replace(INPUT_SCALE, '.weight'), await readScale(source, name));
  }
  const extras: LayoutExtras = {
    ...(kvScales.size > 0 && { kvScales: complete(source, kvScales) }),
    ...(inputScales.size > 0 && { inputScales }),
  };
  return { extras, consumed };
}

/** Puts a scale to its block: that of keys, of values, or of both. */
async function addScale(
  scales: Map<number, Partial<KvScales>>,
  [, block, of]: RegExpExecArray,
  { source, name }: { readonly source: Checkpoint; readonly name: string },
): Promise<void> {
  const known = scales.get(Number(block)) ?? {};
  const kinds = [...of!] as ('k' | 'v')[];
  if (kinds.some((kind) => known[kind] !== undefined)) {
    throw wrongTensor(source, name, 'is a scale that another tensor gives its block too');
  }
  const scale = await readScale(source, name);
  scales.set(Number(block), { ...known, ...Object.fromEntries(kinds.map((kind) => [kind, scale])) });
}

async function readScale(source: Checkpoint, name: string): Promise<number> {
  const { shape, dtype } = expectPart(source, { name, dtypes: FLOAT_DTYPES, shape: source.tensors.get(name)!.shape });
  if (elementsOf(shape) !== 1)
    throw wrongTensor(source, name, `has the shape [${shape.join(', ')}], and must be one number`);
  const [scale] = decodeToF32(await source.read(name), dtype);
  if (scale !== undefined && Number.isFinite(scale) && scale > 0) return scale;
  throw wrongTensor(source, name, `is ${scale}, and a scale is a positive number`);
}

function complete(source: Checkpoint, scales: ReadonlyMap<number, Partial<KvScales>>): Map<number, KvScales> {
  return new Map(
    [...scales].map(([block, { k, v }]) => {
      if (k !== undefined && v !== undefined) return [block, { k, v }];
      const [there, missing] = k === undefined ? ['v_scale', 'k_scale'] : ['k_scale', 'v_scale'];
      throw wrongTensor(source, `block ${block}`, `has a ${there} and no ${missing}`);
    }),
  );
}
