import { canDecodeRows, elementsOf, tilesOf } from '../quantization/index.js';
import { decodeToF32, type GroupedCodes } from '../tensor/index.js';
import type { CodedView } from './decoded-view.js';
import { readParts, shapeOf } from './scheme-coding.js';

/** A weight's codes as a device takes them that unpacks them itself. */
export interface GroupedWeight extends Pick<GroupedCodes, 'columns' | 'bits' | 'group'> {
  read(rows: { readonly first: number; readonly count: number }): Promise<GroupedCodes>;
}

/**
 * A weight of integers in 2, 4 or 8 bits under scales of one row each, with or without zero points; undefined for one that is stored in
 * any other way, or whose values take more than its codes.
 */
export function groupedWeight({ raw, coded }: CodedView, weight: string): GroupedWeight | undefined {
  const record = coded.get(weight);
  if (record?.kind !== 'integer' || record.layout !== undefined || record.correction !== undefined) return undefined;
  const shape = shapeOf(raw, { weight, record });
  const { scheme, columns } = shape;
  const { bits } = scheme;
  if (!canDecodeRows(scheme) || scheme.doubleQuantization || (bits !== 2 && bits !== 4 && bits !== 8)) return undefined;
  const group = Math.min(columns, tilesOf(scheme, 1, columns).tileColumns);
  return {
    columns,
    bits,
    group,
    async read({ first, count }) {
      const { bytes } = await readParts(raw, weight, shape, { first, count });
      const scales = decodeToF32(bytes('_scale'), scheme.scaleDtype);
      const zeros = scheme.symmetric
        ? new Float32Array(scales.length).fill(elementsOf(scheme).center)
        : Float32Array.from(bytes('_zero_point'));
      return { rows: count, columns, bits, group, codes: bytes(''), scales, zeros };
    },
  };
}
