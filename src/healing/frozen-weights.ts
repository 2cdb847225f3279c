import { type MemoryValues, memoryLayer, overlay, type TensorInfo } from '../checkpoint/index.js';
import { type CodedView, codingBytes, codingName, decodedView } from '../coding/index.js';
import { type Model, withCheckpoint } from '../model/index.js';
import { dequantizeMatrix, quantizeMatrix, recordOf, schemes, toParts } from '../quantization/index.js';
import type { Learnt } from './learnt.js';
import { readWeight } from './stored-weight.js';
import type { HealSettings } from './types.js';

/** QLoRA's base: NF4 in groups of 64, their scales in 8 bits (Dettmers et al. 2023, section 3). */
const NF4 = schemes.get('nf4-double')!;

/** W [rows, columns] as it is while its adapter is learnt, and so what the adapter is added to. `weight` is left as it is. */
export function frozenWeight(
  weight: Float32Array,
  { rows, columns }: Learnt['spec'],
  { frozen }: Pick<HealSettings, 'frozen'>,
): Float32Array {
  return frozen === 'nf4' ? dequantizeMatrix(quantizeMatrix(weight, rows, columns, NF4)) : weight;
}

/**
 * The model with the learnt linears' weights as NF4 in memory, 4.13 bits a weight, decoded whenever a block is loaded. A weight that is
 * stored in codes stays in these: it takes few bits as it is.
 */
export async function withFrozen4Bit(model: Model, learnt: readonly Learnt[]): Promise<Model> {
  const { checkpoint } = model;
  const view = 'raw' in checkpoint ? (checkpoint as CodedView) : undefined;
  const raw = view?.raw ?? checkpoint;
  const values = new Map<string, MemoryValues>();
  const added = new Map<string, MemoryValues>();
  for (const { spec } of learnt) {
    const stored = checkpoint.aliases.get(spec.weight) ?? spec.weight;
    if (view?.coded.has(stored)) continue;
    const { parts, record } = nf4Parts(await readWeight(checkpoint, spec), spec);
    for (const [suffix, { dtype, shape, bytes }] of parts) {
      const info: TensorInfo = { name: `${stored}${suffix}`, dtype, shape: [...shape], byteLength: bytes.length };
      (suffix === '' ? values : added).set(info.name, { info, bytes });
    }
    const name = codingName(stored);
    added.set(name, { info: { name, dtype: 'U8', shape: [record.length], byteLength: record.length }, bytes: record });
  }
  return withCheckpoint(model, await decodedView(overlay(raw, [memoryLayer(new Map(), values, added)])));
}

function nf4Parts(weight: Float32Array, { rows, columns, layout }: Learnt['spec']) {
  const { parts } = toParts(quantizeMatrix(weight, rows, columns, NF4));
  return { parts, record: codingBytes({ ...recordOf(NF4, rows, columns), ...(layout && { layout }) }) };
}
