import {
  abs,
  add,
  cast,
  concat,
  customGrad,
  div,
  equal,
  gather,
  greater,
  less,
  mul,
  reshape,
  scatterND,
  slice,
  softmax,
  sum,
  type Tensor,
  type Tensor2D,
  tensor2d,
  tidy,
  zeros,
  zerosLike,
} from '@tensorflow/tfjs-core';
import type { Observe } from './block.js';
import { innerOf } from './ffn-inner.js';
import { type LoadedBlock, linearOf } from './loaded-block.js';
import { project } from './projections.js';
import type { Route } from './routes.js';

/**
 * x [n, hidden] after the norm → what the experts make of it, [n, hidden], each token through its own experts alone. `observe` sees
 * of an expert's inputs the rows that go through it; an expert without tokens is not run.
 */
export function mixRouted(block: LoadedBlock, x: Tensor2D, routes: readonly Route[], observe?: Observe): Tensor2D {
  return tidy(() => {
    let mixed: Tensor2D | undefined;
    for (const [expert, route] of routes.entries()) {
      if (route.rows.length === 0) continue;
      const made = tidy(() => throughExpert(block, x, { expert, route }, observe));
      mixed = mixed === undefined ? made : add(mixed, made);
    }
    return mixed ?? zerosLike(x);
  });
}

function throughExpert(
  block: LoadedBlock,
  x: Tensor2D,
  { expert, route }: { readonly expert: number; readonly route: Route },
  observe?: Observe,
): Tensor2D {
  const count = route.rows.length;
  const own = gather(x, route.rows) as Tensor2D;
  observe?.(`ffn-norm-${expert}`, own, route.shares);
  const inner = innerOf(block, own, expert);
  observe?.(`ffn-inner-${expert}`, inner, route.shares);
  const made = mul(project(block, 'down', inner, expert), tensor2d(route.shares, [count, 1]));
  return scatterND(tensor2d(route.rows, [count, 1], 'int32'), made, x.shape) as Tensor2D;
}

/**
 * The same from the device alone: every token through every expert, those that are not its own times zero. What gradients go
 * through, to the router too; nothing is read back in between.
 */
export function mixDense(block: LoadedBlock, x: Tensor2D): Tensor2D {
  const { count, perToken } = block.spec.experts!;
  const probabilities = softmax(routerLogits(block, x), -1) as Tensor2D;
  const kept = mul(probabilities, likeliest(probabilities, perToken)) as Tensor2D;
  const shares = div(kept, sum(kept, 1, true)) as Tensor2D;
  let mixed: Tensor2D | undefined;
  for (let expert = 0; expert < count; expert += 1) {
    const share = slice(shares, [0, expert], [shares.shape[0], 1]);
    const made = mul(project(block, 'down', innerOf(block, x, expert), expert), share) as Tensor2D;
    mixed = mixed === undefined ? made : add(mixed, made);
  }
  return mixed!;
}

/**
 * x [n, hidden] after the norm → how likely the router finds each expert, [n, count]. An expert whose row of the router is zero
 * throughout is shed: no token goes to it, as if it were not there. (The definition would give it the logit 0.)
 */
export function routerLogits(block: LoadedBlock, x: Tensor2D): Tensor2D {
  const { weight } = linearOf(block, 'router')!;
  const rows = weight.parts.map((part) => withoutGradient((values) => sum(abs(values), 1), part));
  const shed = withoutGradient((sums) => mul(cast(equal(sums, 0), 'float32'), SHED), concat(rows));
  return add(project(block, 'router', x), shed) as Tensor2D;
}

/** Added to a logit that must not be chosen. */
const SHED = -1e30;

/**
 * 1 for each row's `perToken` largest, of equals the first as in `routesOf`, 0 for the others: those that have fewer than `perToken`
 * ahead of them. Which they are is no function that has a gradient.
 */
function likeliest(probabilities: Tensor2D, perToken: number): Tensor {
  const [n, count] = probabilities.shape;
  return withoutGradient((values) => {
    const [mine, others] = [reshape(values, [n, count, 1]), reshape(values, [n, 1, count])];
    const ahead = cast(greater(others, mine), 'float32');
    const before = mul(cast(equal(others, mine), 'float32'), earlier(count));
    return cast(less(sum(add(ahead, before), 2), perToken), 'float32');
  }, probabilities);
}

/** [count, count]: 1 where the column's expert comes before the row's, which decides among equals. */
function earlier(count: number): Tensor2D {
  const values = Float32Array.from({ length: count * count }, (_, i) => (i % count < Math.floor(i / count) ? 1 : 0));
  return tensor2d(values, [count, count]);
}

/** f(x) as a constant, for what has no gradient. */
function withoutGradient(f: (x: Tensor) => Tensor, x: Tensor): Tensor {
  const constant = customGrad<Tensor>((...inputs) => ({
    value: f(inputs[0] as Tensor),
    gradFunc: () => zeros(x.shape),
  }));
  return constant(x);
}
