import {
  type Checkpoint,
  chunksOf,
  elementsOf,
  type Layer,
  type LayerPlan,
  type LayerWriter,
} from '../checkpoint/index.js';

/** What two edits hold together, the second over the first: where both have a tensor, as the second has it. */
export function mergedPlan(first: LayerPlan, second: LayerPlan): LayerPlan {
  const own = namesOf(second);
  const keep = ({ name }: { readonly name: string }) => !own.has(name);
  return {
    masks: [...first.masks.filter(keep), ...second.masks],
    values: [...first.values.filter(keep), ...second.values],
  };
}

/** Writes what the first of two edits has changed and the second has not: masks as masks, values as values. */
export async function carryOver(
  { plan, layer, seen }: { readonly plan: LayerPlan; readonly layer: Layer; readonly seen: Checkpoint },
  second: LayerPlan,
  writer: LayerWriter,
): Promise<void> {
  const own = namesOf(second);
  for (const { name, elements } of plan.masks) {
    if (own.has(name)) continue;
    const length = Math.ceil(elements / 8);
    // A mask that removes nothing has no entry.
    const isKept = !layer.masks.has(name);
    await writer.writeMask(name, isKept ? allOf(elements) : await layer.readMask(name, { offset: 0, length }));
  }
  for (const { name, shape } of plan.values) {
    if (own.has(name) || elementsOf(shape) === 0) continue;
    let offset = 0;
    for await (const bytes of chunksOf(seen, name)) {
      await writer.writeValues(name, offset, bytes);
      offset += bytes.length;
    }
  }
}

function namesOf({ masks, values }: LayerPlan): ReadonlySet<string> {
  return new Set([...masks, ...values].map(({ name }) => name));
}

/** A mask that keeps every element. */
function allOf(elements: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(elements / 8)).fill(0xff);
  const used = elements % 8;
  if (used !== 0) bits[bits.length - 1] = (1 << used) - 1;
  return bits;
}
