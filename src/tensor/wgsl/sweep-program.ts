import { PLACE, workgroupJob } from './entry-point.js';
import type { Program } from './program.js';

/** Columns of the widest block: a lane each. */
export const SWEEP_LANES = 128;

/** Rows that one workgroup takes, so that a row of the factor is read once for all of them. */
export const SWEEP_ROWS = 4;

/** What becomes of a weight when the sweep comes to it. */
export interface SweepForm {
  readonly name: string;
  /** Further inputs. */
  readonly inputs: Program['inputs'];
  readonly outputs: Program['outputs'];
  readonly uniforms: NonNullable<Program['uniforms']>;
  /** WGSL of `fn becomes(w: f32, row: u32, column: u32, stays: bool) -> f32`, and whatever it needs. */
  readonly becomes: string;
  /** Whether groups of `u.size` columns choose `u.kept` of their own when the sweep comes to them. */
  readonly chooses: boolean;
}

/**
 * One block of columns of SparseGPT and GPTQ: from left to right each weight w becomes what `becomes` says, and w' = w − e · U[j, ·],
 * e = (w − became) / U[j, j], for the weights right of it. A lane keeps its column's weights of four rows in registers; the errors of
 * a column reach the others through shared memory, which two columns use in turn, so that there is one barrier a column.
 *
 * Floor for [rows, count]: rows · count² operations over 2 · rows · count · 4 bytes: at 128 columns 16 operations a byte; the
 * barriers, one a column for four rows, decide before either.
 */
export function sweepProgram(form: SweepForm): Program {
  return {
    name: form.name,
    inputs: { weights: 'f32', upper: 'f32', keep: 'i32', ...form.inputs },
    outputs: { result: 'f32', errors: 'f32', ...form.outputs },
    uniforms: { rows: 'u32', count: 'u32', ...form.uniforms },
    code: () => `
      ${form.becomes}
      var<workgroup> passed: array<f32, ${2 * SWEEP_ROWS}>;
      ${form.chooses ? CHOOSING : ''}

      @compute @workgroup_size(${SWEEP_LANES})
      fn main(${PLACE}) {
        ${workgroupJob('first', 'u.rows', SWEEP_ROWS)}
        let inside = lane < u.count;
        let diagonal = select(1.0, upper[min(lane, u.count - 1u) * (u.count + 1u)], inside);
        var w: array<f32, ${SWEEP_ROWS}>;
        var stays: array<bool, ${SWEEP_ROWS}>;
        for (var r = 0u; r < ${SWEEP_ROWS}u; r++) {
          let there = inside && first + r < u.rows;
          let at = select(0u, (first + r) * u.count + lane, there);
          w[r] = select(0.0, weights[at], there);
          stays[r] = there && keep[at] != 0;
        }
        for (var j = 0u; j < u.count; j++) {
          ${form.chooses ? CHOOSE : ''}
          let half = (j & 1u) * ${SWEEP_ROWS}u;
          if (lane == j) {
            for (var r = 0u; r < ${SWEEP_ROWS}u; r++) {
              if (first + r < u.rows) {
                let became = becomes(w[r], first + r, lane, stays[r]);
                let error = (w[r] - became) / diagonal;
                w[r] = became;
                passed[half + r] = error;
                errors[(first + r) * u.count + lane] = error;
              }
            }
          }
          workgroupBarrier();
          if (inside && lane > j) {
            let factor = upper[j * u.count + lane];
            for (var r = 0u; r < ${SWEEP_ROWS}u; r++) { w[r] -= passed[half + r] * factor; }
          }
        }
        if (!inside) { return; }
        for (var r = 0u; r < ${SWEEP_ROWS}u; r++) {
          if (first + r < u.rows) { result[(first + r) * u.count + lane] = w[r]; }
        }
      }`,
  };
}

const CHOOSING = `var<workgroup> scores: array<f32, ${SWEEP_ROWS * SWEEP_LANES}>;`;

/** At the first column of a group: all but the `kept` largest of |w| / U[j, j] go, of equals those with the lower index first. */
const CHOOSE = `
  if (j % u.size == 0u) {
    for (var r = 0u; r < ${SWEEP_ROWS}u; r++) {
      let score = select(0.0, abs(w[r]) / diagonal * bias[min(lane, u.count - 1u)], stays[r]);
      scores[r * ${SWEEP_LANES}u + lane] = score;
    }
    workgroupBarrier();
    let end = min(j + u.size, u.count);
    if (inside && lane >= j && lane < end) {
      for (var r = 0u; r < ${SWEEP_ROWS}u; r++) {
        let own = scores[r * ${SWEEP_LANES}u + lane];
        var before = 0u;
        for (var k = j; k < end; k++) {
          let other = scores[r * ${SWEEP_LANES}u + k];
          before += select(0u, 1u, other < own || (other == own && k < lane));
        }
        stays[r] = stays[r] && before + min(u.kept, end - j) >= end - j;
      }
    }
    workgroupBarrier();
  }`;
