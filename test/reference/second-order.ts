import type { Weight } from './load.js';

/**
 * SparseGPT, ALPS and the conjugate gradients that end it, in float64 from the papers' formulae (Frantar & Alistarh 2023,
 * algorithm 1; Meng et al. 2024, algorithms 1 and 2). Plain loops; nothing is shared with src/.
 */

/** G + 0.01 · mean(diag G) · I. */
function damp(gram: Float64Array, n: number): Float64Array {
  let trace = 0;
  for (let i = 0; i < n; i++) trace += gram[i * n + i]!;
  const damped = gram.slice();
  for (let i = 0; i < n; i++) damped[i * n + i]! += (0.01 * trace) / n;
  return damped;
}

/** Lower L with A = L Lᵀ. */
function cholesky(a: Float64Array, n: number): Float64Array {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= l[i * n + k]! * l[j * n + k]!;
      if (i === j && !(sum > 0)) throw new Error(`pivot ${i} is ${sum}`);
      l[i * n + j] = i === j ? Math.sqrt(sum) : sum / l[j * n + j]!;
    }
  }
  return l;
}

/** A⁻¹ of a symmetric positive definite A: L⁻¹ by forward substitution, then L⁻ᵀ L⁻¹. */
function inverse(a: Float64Array, n: number): Float64Array {
  const l = cholesky(a, n);
  const x = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const row = x.subarray(i * n, (i + 1) * n);
    row[i] = 1;
    for (let k = 0; k < i; k++) for (let j = 0; j <= k; j++) row[j]! -= l[i * n + k]! * x[k * n + j]!;
    for (let j = 0; j <= i; j++) row[j]! /= l[i * n + i]!;
  }
  const product = new Float64Array(n * n);
  for (let k = 0; k < n; k++) {
    for (let i = 0; i <= k; i++) {
      for (let j = 0; j <= k; j++) product[i * n + j]! += x[k * n + i]! * x[k * n + j]!;
    }
  }
  return product;
}

/** 1 = stays: among `members` (indices into scores) all but the `removed` lowest; of equals the first go. */
function keepHighest(scores: Float64Array, keep: Uint8Array, members: Int32Array, removed: number): void {
  const order = members.slice().sort((a, b) => scores[a]! - scores[b]! || a - b);
  for (const index of order.subarray(0, removed)) keep[index] = 0;
}

/** What a pattern removes of the weights in columns [start, end): of all of them together, or of every group of M in a row. */
function choose(
  scores: Float64Array,
  keep: Uint8Array,
  { rows, columns }: Weight,
  pattern: string,
  start: number,
  end: number,
) {
  const percent = /^(\d+)%$/.exec(pattern);
  const indices = (row: number, from: number, to: number) =>
    Int32Array.from({ length: to - from }, (_, i) => row * columns + from + i);
  if (percent !== null) {
    const members = new Int32Array(rows * (end - start));
    for (let row = 0; row < rows; row++) members.set(indices(row, start, end), row * (end - start));
    keepHighest(scores, keep, members, Math.floor((members.length * Number(percent[1])) / 100));
    return;
  }
  const [kept, group] = pattern.split(':').map(Number) as [number, number];
  for (let row = 0; row < rows; row++) {
    for (let from = start; from < end; from += group) {
      const to = Math.min(from + group, end);
      keepHighest(scores, keep, indices(row, from, to), Math.max(0, to - from - kept));
    }
  }
}

/** Algorithm 1 with blocks of 128 columns; changes the weight in place and returns what it keeps. */
export function sparseGpt(weight: Weight, gram: Float64Array, pattern: string): Uint8Array {
  const { rows, columns: n, values: w } = weight;
  const inverted = inverse(damp(gram, n), n);
  // H⁻¹ = Uᵀ U: its lower factor, transposed.
  const u = transpose(cholesky(inverted, n), n);
  const keep = new Uint8Array(w.length).fill(1);
  const isGrouped = pattern.includes(':');
  for (let start = 0; start < n; start += 128) {
    const end = Math.min(start + 128, n);
    const group = isGrouped ? Number(pattern.split(':')[1]) : end - start;
    for (let column = start; column < end; column++) {
      if ((column - start) % group === 0) {
        const scores = w.map((value, i) => (value / u[(i % n) * (n + 1)]!) ** 2);
        choose(scores, keep, weight, pattern, column, Math.min(column + group, end));
      }
      for (let row = 0; row < rows; row++) {
        if (keep[row * n + column] === 1) continue;
        const error = w[row * n + column]! / u[column * n + column]!;
        for (let j = column; j < n; j++) w[row * n + j]! -= error * u[column * n + j]!;
        w[row * n + column] = 0;
      }
    }
  }
  return keep;
}

function transpose(a: Float64Array, n: number): Float64Array {
  return a.map((_, i) => a[(i % n) * n + Math.floor(i / n)]!);
}

/** X [rows, n] · A [n, n], A symmetric. */
function times(x: Float64Array, a: Float64Array, n: number): Float64Array {
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += n) {
    for (let k = 0; k < n; k++) {
      const factor = x[start + k]!;
      if (factor === 0) continue;
      for (let j = 0; j < n; j++) y[start + j]! += factor * a[k * n + j]!;
    }
  }
  return y;
}

/** `iterations` of conjugate gradients, each row by itself, Jacobi preconditioner, on W G = W₀ G inside the mask. */
function conjugateGradients(
  w: Float64Array,
  wanted: Float64Array,
  g: Float64Array,
  keep: Uint8Array,
  { n, iterations }: { n: number; iterations: number },
): void {
  const inside = (x: Float64Array) => x.map((value, i) => (keep[i] === 1 ? value : 0));
  w.set(inside(w));
  const residual = inside(
    times(
      wanted.map((value, i) => value - w[i]!),
      g,
      n,
    ),
  );
  let direction = new Float64Array(w.length);
  const energy = new Float64Array(w.length / n);
  for (let step = 0; step < iterations; step++) {
    const z = residual.map((value, i) => value / g[(i % n) * (n + 1)]!);
    for (let row = 0; row < energy.length; row++) {
      let next = 0;
      for (let j = row * n; j < (row + 1) * n; j++) next += residual[j]! * z[j]!;
      const beta = energy[row]! > 0 ? next / energy[row]! : 0;
      for (let j = row * n; j < (row + 1) * n; j++) direction[j] = z[j]! + beta * direction[j]!;
      energy[row] = next;
    }
    direction = inside(direction) as Float64Array<ArrayBuffer>;
    const image = inside(times(direction, g, n));
    for (let row = 0; row < energy.length; row++) {
      let curvature = 0;
      for (let j = row * n; j < (row + 1) * n; j++) curvature += direction[j]! * image[j]!;
      if (!(curvature > 0)) continue;
      const length = energy[row]! / curvature;
      for (let j = row * n; j < (row + 1) * n; j++) {
        w[j]! += length * direction[j]!;
        residual[j]! -= length * image[j]!;
      }
    }
  }
}

/** Fits the kept weights to the outputs of `wanted`. */
export function refit(
  weight: Weight,
  wanted: Float64Array,
  gram: Float64Array,
  keep: Uint8Array,
  iterations: number,
): void {
  conjugateGradients(weight.values, wanted, damp(gram, weight.columns), keep, { n: weight.columns, iterations });
}

/** ADMM until the support stands still, then conjugate gradients on it; changes the weight in place, returns what it keeps. */
export function alps(weight: Weight, gram: Float64Array, pattern: string): Uint8Array {
  const { columns: n, values } = weight;
  const damped = damp(gram, n);
  const scale = Float64Array.from({ length: n }, (_, i) => Math.sqrt(damped[i * n + i]!));
  const g = damped.map((value, i) => value / (scale[i % n]! * scale[Math.floor(i / n)]!));
  const wanted = values.map((value, i) => value * scale[i % n]!);
  const project = (x: Float64Array) => {
    const keep = new Uint8Array(x.length).fill(1);
    choose(x.map(Math.abs), keep, weight, pattern, 0, n);
    return keep;
  };
  let rho = 0.1;
  let result = admm(wanted, g, project, rho, n);
  for (let tries = 0; !result.moved && tries < 3; tries++) {
    rho /= 5;
    result = admm(wanted, g, project, rho, n);
  }
  const { keep, z } = result;
  conjugateGradients(z, wanted, g, keep, { n, iterations: 10 });
  for (let i = 0; i < values.length; i++) values[i] = z[i]! / scale[i % n]!;
  return keep;
}

function admm(
  wanted: Float64Array,
  g: Float64Array,
  project: (x: Float64Array) => Uint8Array,
  first: number,
  n: number,
) {
  const goal = times(wanted, g, n);
  const v = new Float64Array(wanted.length);
  let keep = project(wanted);
  let z = wanted.map((value, i) => (keep[i] === 1 ? value : 0));
  let before = keep;
  let moved = false;
  let rho = first;
  let shifted = shiftedInverse(g, rho, n);
  for (let iteration = 1; iteration <= 300; iteration++) {
    const b = times(
      goal.map((value, i) => value - v[i]! + rho * z[i]!),
      shifted,
      n,
    );
    const together = b.map((value, i) => value + v[i]! / rho);
    keep = project(together);
    z = together.map((value, i) => (keep[i] === 1 ? value : 0));
    for (let i = 0; i < v.length; i++) v[i]! += rho * (b[i]! - z[i]!);
    if (iteration % 3 !== 0) continue;
    const changed = keep.reduce((count, flag, i) => count + (flag === before[i] ? 0 : 1), 0);
    if (changed === 0) break;
    moved = true;
    before = keep;
    const share = changed / keep.reduce((count, flag) => count + flag, 0);
    rho *= share > 0.1 ? 1.3 : share > 0.005 ? 1.2 : 1.1;
    shifted = shiftedInverse(g, rho, n);
  }
  return { keep, z, moved };
}

/** (G + ρI)⁻¹, anew for every ρ. */
function shiftedInverse(g: Float64Array, rho: number, n: number): Float64Array {
  return inverse(
    g.map((value, i) => (i % (n + 1) === 0 ? value + rho : value)),
    n,
  );
}
