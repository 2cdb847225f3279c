/**
 * The operations of src/tensor/ops written from their definitions in plain float64 loops over row-major arrays: slow, and
 * sharing nothing with what they judge.
 */
export interface Values {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}

const size = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1);

/** Coordinates of element `index` of an array of `shape`. */
function coordinates(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    place.unshift(rest % shape[axis]!);
    rest = Math.floor(rest / shape[axis]!);
  }
  return place;
}

/** The element that broadcasting puts at `place` of a larger array. */
function at({ data, shape }: Values, place: readonly number[]): number {
  let index = 0;
  shape.forEach((side, axis) => {
    index = index * side + (side === 1 ? 0 : place[place.length - shape.length + axis]!);
  });
  return data[index]!;
}

function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [x, y] = [a[a.length - rank + axis] ?? 1, b[b.length - rank + axis] ?? 1];
    return x === 1 ? y : x;
  });
}

function build(shape: readonly number[], element: (place: number[]) => number): Values {
  return { data: Float64Array.from({ length: size(shape) }, (_, index) => element(coordinates(index, shape))), shape };
}

export function elementwise(f: (x: number, y: number) => number, a: Values, b: Values): Values {
  return build(broadcastShape(a.shape, b.shape), (place) => f(at(a, place), at(b, place)));
}

export function map(f: (x: number) => number, x: Values): Values {
  return build(x.shape, (place) => f(at(x, place)));
}

export function transpose(x: Values, perm: readonly number[]): Values {
  return build(
    perm.map((axis) => x.shape[axis]!),
    (place) => {
      const source: number[] = [];
      perm.forEach((axis, i) => {
        source[axis] = place[i]!;
      });
      return at(x, source);
    },
  );
}

/** Folds the given axes away. */
export function reduce(f: (values: number[]) => number, x: Values, axes: readonly number[]): Values {
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const groups = new Map<string, number[]>();
  for (let index = 0; index < size(x.shape); index += 1) {
    const place = coordinates(index, x.shape);
    const key = kept.map((axis) => place[axis]).join();
    groups.set(key, [...(groups.get(key) ?? []), x.data[index]!]);
  }
  const shape = kept.map((axis) => x.shape[axis]!);
  return build(shape, (place) => f(groups.get(place.join())!));
}

export function softmax(x: Values): Values {
  const columns = x.shape.at(-1)!;
  const result = new Float64Array(x.data.length);
  for (let start = 0; start < x.data.length; start += columns) {
    const row = Array.from({ length: columns }, (_, i) => x.data[start + i]!);
    const largest = Math.max(...row);
    const total = row.reduce((sum, z) => sum + Math.exp(z - largest), 0);
    row.forEach((z, i) => {
      result[start + i] = Math.exp(z - largest) / total;
    });
  }
  return { data: result, shape: x.shape };
}

export function matMul(a: Values, b: Values, transposeA: boolean, transposeB: boolean): Values {
  const rows = a.shape.at(transposeA ? -1 : -2)!;
  const inner = a.shape.at(transposeA ? -2 : -1)!;
  const columns = b.shape.at(transposeB ? -2 : -1)!;
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  return build([...batch, rows, columns], (place) => {
    const [row, column] = place.slice(-2) as [number, number];
    const outer = place.slice(0, -2);
    let total = 0;
    for (let k = 0; k < inner; k += 1) {
      total +=
        at(a, [...outer, ...(transposeA ? [k, row] : [row, k])]) *
        at(b, [...outer, ...(transposeB ? [column, k] : [k, column])]);
    }
    return total;
  });
}

export function linear(x: Values, weight: Values, bias?: Values): Values {
  const product = matMul(x, weight, false, true);
  return bias === undefined ? product : elementwise((a, b) => a + b, product, bias);
}

export function rmsNorm(x: Values, gain: Values, epsilon: number): Values {
  const [rows, columns] = x.shape as [number, number];
  return build([rows, columns], ([row, column]) => {
    let squares = 0;
    for (let j = 0; j < columns; j += 1) squares += at(x, [row!, j]) ** 2;
    return (at(x, [row!, column!]) / Math.sqrt(squares / columns + epsilon)) * gain.data[column!]!;
  });
}

/** Pair (i, i + w/2) of the first w of each head turned by its angle, (x cos − y sin, y cos + x sin); the rest as it was. */
export function rotary(x: Values, cos: Values, sin: Values): Values {
  const half = cos.shape[1]! / 2;
  return build(x.shape, ([b, h, t, i]) => {
    if (i! >= 2 * half) return at(x, [b!, h!, t!, i!]);
    const other = i! < half ? -at(x, [b!, h!, t!, i! + half]) : at(x, [b!, h!, t!, i! - half]);
    return at(x, [b!, h!, t!, i!]) * at(cos, [t!, i!]) + other * at(sin, [t!, i!]);
  });
}

/** `scale` multiplies the dot products, `cap` bounds them before the mask is added. */
export function attention(
  q: Values,
  k: Values,
  v: Values,
  mask: Values,
  { scale, cap }: { readonly scale?: number; readonly cap?: number } = {},
): Values {
  const [batch, heads, tokens, width] = q.shape as [number, number, number, number];
  const bound = (score: number) => (cap === undefined ? score : cap * Math.tanh(score / cap));
  const kvHeads = k.shape[1]!;
  const result = new Float64Array(size(q.shape));
  for (let b = 0; b < batch; b += 1) {
    for (let head = 0; head < heads; head += 1) {
      const from = (b * heads + head) * tokens * width;
      const shared = (b * kvHeads + Math.floor(head / (heads / kvHeads))) * tokens * width;
      for (let i = 0; i < tokens; i += 1) {
        const scores = Array.from({ length: tokens }, (_, j) => {
          let dot = 0;
          for (let c = 0; c < width; c += 1) dot += q.data[from + i * width + c]! * k.data[shared + j * width + c]!;
          return bound(dot * (scale ?? width ** -0.5)) + mask.data[i * tokens + j]!;
        });
        const weights = softmax({ data: scores, shape: [1, tokens] }).data;
        for (let c = 0; c < width; c += 1) {
          let mixed = 0;
          for (let j = 0; j < tokens; j += 1) mixed += weights[j]! * v.data[shared + j * width + c]!;
          result[from + i * width + c] = mixed;
        }
      }
    }
  }
  return { data: result, shape: q.shape };
}

export function swiglu(gate: Values, up: Values): Values {
  return elementwise((g, u) => (g / (1 + Math.exp(-g))) * u, gate, up);
}

export function layerNorm(x: Values, gain: Values, bias: Values, epsilon: number): Values {
  const [rows, columns] = x.shape as [number, number];
  return build([rows, columns], ([row, column]) => {
    const values = Array.from({ length: columns }, (_, j) => at(x, [row!, j]));
    const mean = values.reduce((sum, value) => sum + value, 0) / columns;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / columns;
    const normed = (values[column!]! - mean) / Math.sqrt(variance + epsilon);
    return normed * gain.data[column!]! + bias.data[column!]!;
  });
}

/** x · Φ(x), Φ by the series of erf, which loses 8 of 16 digits at |x| = 6; beyond, Φ is 0 or 1 to 9 digits. */
export function gelu(x: number): number {
  if (Math.abs(x) > 6) return Math.max(x, 0);
  const z = x / Math.SQRT2;
  let term = z;
  let sum = z;
  for (let n = 1; n < 300; n += 1) {
    term *= -(z * z) / n;
    sum += term / (2 * n + 1);
  }
  return (x * (1 + (2 / Math.sqrt(Math.PI)) * sum)) / 2;
}

export function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

export function columnSquares(x: Values): Values {
  return reduce((values) => values.reduce((total, value) => total + value * value, 0), x, [0]);
}
