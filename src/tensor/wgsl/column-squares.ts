import { PLACE, workgroupJob } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';

/** Columns of one workgroup, read side by side; rows are dealt out to as many lanes of each column. */
const COLUMNS = 32;
const LANES = 8;

const program: Program = {
  name: 'column-squares',
  inputs: { x: 'f32' },
  outputs: { sums: 'f32' },
  uniforms: { rows: 'u32', columns: 'u32' },
  code: () => /* wgsl */ `
    var<workgroup> partial: array<f32, ${COLUMNS * LANES}>;

    @compute @workgroup_size(${COLUMNS}, ${LANES})
    fn main(${PLACE}) {
      ${workgroupJob('first', 'u.columns', COLUMNS)}
      let x_lane = lane % ${COLUMNS}u;
      let y_lane = lane / ${COLUMNS}u;
      let column = first + x_lane;
      var sum = 0.0;
      if (column < u.columns) {
        for (var row = y_lane; row < u.rows; row += ${LANES}u) {
          let value = x[row * u.columns + column];
          sum = fma(value, value, sum);
        }
      }
      partial[lane] = sum;
      workgroupBarrier();
      if (y_lane == 0u && column < u.columns) {
        for (var other = 1u; other < ${LANES}u; other++) { sum += partial[other * ${COLUMNS}u + x_lane]; }
        sums[column] = sum;
      }
    }`,
};

/** `columnSquares` (ops/column-squares.ts). Reads x once: 4 · rows · columns bytes, which is its floor. */
export const columnSquaresKernel: WgslKernel = {
  operation: 'birdbone.ColumnSquares',
  run({ inputs: { x } }, gpu) {
    const [rows, columns] = x!.shape as [number, number];
    const sums = gpu.create([columns]);
    gpu.run(program, {
      inputs: { x: x! },
      outputs: { sums },
      uniforms: { rows, columns },
      workgroups: foldWorkgroups(Math.ceil(columns / COLUMNS), gpu.limits),
    });
    return sums;
  },
};
