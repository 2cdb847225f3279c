import { PLACE, workgroupJob } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';
import { RANK_KEY } from './ranked-scores.js';

/** One lane for each bin of a digit's histogram. */
const LANES = 256;

/**
 * Of each group of consecutive columns of a row, where the scores that go end: those below a key, and of those equal to it the
 * ones before a column of the group. scores [rows, columns], the attributes `group` and `kept` → [groups, 2] int32: key, column.
 * The ties are those that sparsity/select.ts finds on the host: of equals the first go.
 *
 * One workgroup a group: radix selection, one base-256 digit at a time, then a count of the equals.
 *
 * Floor: 4 bytes a score; it is read six times (four digits, twice for ties), all but the first time from cache where a group fits.
 */
export const groupBoundariesKernel: WgslKernel = {
  operation: 'birdbone.GroupBoundaries',
  run({ inputs, attributes }, gpu) {
    const scores = inputs['scores']!;
    const [rows, columns] = scores.shape as [number, number];
    const [group, kept] = [Number(attributes['group']), Number(attributes['kept'])];
    const perRow = Math.ceil(columns / group);
    const boundaries = gpu.create([rows * perRow, 2], 'int32');
    gpu.run(program, {
      inputs: { scores },
      outputs: { boundaries },
      uniforms: { columns, size: group, kept, perRow, groups: rows * perRow },
      workgroups: foldWorkgroups(rows * perRow, gpu.limits),
    });
    return boundaries;
  },
};

const program: Program = {
  name: 'group-boundaries',
  inputs: { scores: 'u32' },
  outputs: { boundaries: 'vec2u' },
  uniforms: { columns: 'u32', size: 'u32', kept: 'u32', perRow: 'u32', groups: 'u32' },
  code: () => `
    ${RANK_KEY}
    var<workgroup> histogram: array<atomic<u32>, ${LANES}>;
    var<workgroup> sums: array<u32, ${LANES}>;
    var<workgroup> found: vec2u;
    ${INCLUSIVE_SUM}

    @compute @workgroup_size(${LANES})
    fn main(${PLACE}) {
      ${workgroupJob('number', 'u.groups')}
      let first = (number % u.perRow) * u.size;
      let start = (number / u.perRow) * u.columns + first;
      let length = min(u.size, u.columns - first);
      if (length <= u.kept) {
        if (lane == 0u) { boundaries[number] = vec2u(); }
        return;
      }
      var rank = length - u.kept - 1u;
      var prefix = 0u;
      for (var shift = 24u; shift < 32u; shift -= 8u) {
        atomicStore(&histogram[lane], 0u);
        workgroupBarrier();
        for (var i = lane; i < length; i += ${LANES}u) {
          let digits = keyOf(scores[start + i]) >> shift;
          if ((digits >> 8u) == prefix) { atomicAdd(&histogram[digits & 255u], 1u); }
        }
        workgroupBarrier();
        let here = atomicLoad(&histogram[lane]);
        let through = inclusiveSum(lane, here);
        if (through > rank && through - here <= rank) { found = vec2u(lane, rank - (through - here)); }
        workgroupBarrier();
        prefix = prefix * 256u + found.x;
        rank = found.y;
      }
      ${CUT}
    }`,
};

/** The sum of the values of all lanes up to this one (Hillis & Steele 1986). Behind it, every lane has passed a barrier. */
const INCLUSIVE_SUM = `
  fn inclusiveSum(lane: u32, value: u32) -> u32 {
    sums[lane] = value;
    workgroupBarrier();
    for (var distance = 1u; distance < ${LANES}u; distance *= 2u) {
      var sum = sums[lane];
      if (lane >= distance) { sum += sums[lane - distance]; }
      workgroupBarrier();
      sums[lane] = sum;
      workgroupBarrier();
    }
    return sums[lane];
  }`;

/** The column behind the last equal that goes, of which there are rank + 1: each lane counts those of its own stretch. */
const CUT = `
  let stretch = (length + ${LANES - 1}u) / ${LANES}u;
  let begin = min(lane * stretch, length);
  let end = min(begin + stretch, length);
  var equals = 0u;
  for (var i = begin; i < end; i++) { equals += u32(keyOf(scores[start + i]) == prefix); }
  let through = inclusiveSum(lane, equals);
  if (through > rank && through - equals <= rank) {
    var left = rank - (through - equals);
    for (var i = begin; i < end; i++) {
      if (keyOf(scores[start + i]) != prefix) { continue; }
      if (left == 0u) { boundaries[number] = vec2u(prefix, i + 1u); }
      left--;
    }
  }`;
