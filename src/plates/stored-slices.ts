import type { LinearRole, LinearSpec } from '../model/index.js';
import type { PlateSlice } from './plate.js';
import type { IndexRange } from './ranges.js';

/** The stored shape of a linear's weight. */
export function storedShape({ rows, columns, layout }: LinearSpec): readonly [number, number] {
  return layout === 'in-out' ? [columns, rows] : [rows, columns];
}

/** The roles that a linear plays: one, or those of its segments. */
export function rolesOf({ role, segments }: LinearSpec): ReadonlySet<LinearRole> {
  return new Set<LinearRole>(segments?.map((segment) => segment.role) ?? [role]);
}

/** Where rows `range` of `role` are stored: slices of the weight, and of the bias with it. */
export function* roleRows(linear: LinearSpec, role: LinearRole, range: IndexRange): Generator<PlateSlice> {
  if (linear.segments === undefined) {
    if (role === linear.role) yield* outputs(linear, range);
    return;
  }
  // How many rows of this role lie in the segments before.
  let before = 0;
  for (const segment of linear.segments) {
    if (segment.role !== role) continue;
    const start = Math.max(range.start, before);
    const end = Math.min(range.start + range.count, before + segment.rows);
    if (start < end) yield* outputs(linear, { start: segment.start + start - before, count: end - start });
    before += segment.rows;
  }
}

/** Where outputs `range` of a linear are stored: rows of [out, in], and the bias. */
export function* outputs({ weight, bias, layout }: LinearSpec, range: IndexRange): Generator<PlateSlice> {
  yield { tensor: weight, axis: layout === 'in-out' ? 1 : 0, ...bounds(range) };
  if (bias !== undefined) yield { tensor: bias, axis: 0, ...bounds(range) };
}

/** Where inputs `range` of a linear are stored: columns of [out, in]. */
export function inputs({ weight, layout }: LinearSpec, range: IndexRange): PlateSlice {
  return { tensor: weight, axis: layout === 'in-out' ? 0 : 1, ...bounds(range) };
}

function bounds({ start, count }: IndexRange): IndexRange {
  return { start, count };
}
