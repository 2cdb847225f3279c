/** Lanes that share one row, at most: every GPU takes workgroups of 256. */
const MOST_LANES = 256;
/** Fewer than a subgroup of any GPU would idle. */
const LEAST_LANES = 32;

/** Lanes for a row of so many elements: a power of two, of which none has nothing to do in rows that are long enough. */
export function lanesFor(elements: number): number {
  let lanes = LEAST_LANES;
  while (lanes < MOST_LANES && lanes < elements) lanes *= 2;
  return lanes;
}

/** How wide a program loads rows of so many elements: four at a time where each row begins at a multiple of four. */
export function loadWidth(columns: number): 1 | 4 {
  return columns % 4 === 0 ? 4 : 1;
}

/**
 * WGSL of a function `name(lane, value)` that gives every lane of a workgroup the sum of all lanes' values, added up pairwise in
 * a fixed order: the same values give the same bits. May be called again only behind another barrier.
 */
export function workgroupSum(name: string, lanes: number): string {
  return `
    var<workgroup> ${name}Parts: array<f32, ${lanes}>;
    fn ${name}(lane: u32, value: f32) -> f32 {
      ${name}Parts[lane] = value;
      for (var half = ${lanes / 2}u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) { ${name}Parts[lane] += ${name}Parts[lane + half]; }
      }
      workgroupBarrier();
      return ${name}Parts[0];
    }`;
}
