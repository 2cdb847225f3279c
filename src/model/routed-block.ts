import { add, reshape, type Tensor2D, type Tensor3D, tidy } from '@tensorflow/tfjs-core';
import type { Device } from '../tensor/index.js';
import { normed } from './attention.js';
import { realPositions, type TokenBatch } from './batches.js';
import { type Observe, withAttention } from './block.js';
import { routerLogits } from './experts.js';
import { feedForward } from './feed-forward.js';
import type { LoadedBlock } from './loaded-block.js';
import type { PositionTables } from './rope.js';
import { type Route, routesOf } from './routes.js';

/** What sees the inputs that all tokens share, padding included, and what sees an expert's own, which are real tokens' alone. */
export interface RoutedObservers {
  readonly shared?: Observe | undefined;
  readonly own?: Observe | undefined;
}

/**
 * `forwardBlock` of a block with experts, each real token of the batch through its own experts alone: the router's logits are read
 * back in between. Padding goes through none.
 */
export async function forwardRouted(
  block: LoadedBlock,
  hidden: Tensor3D,
  { batch, tables, device }: { readonly batch: TokenBatch; readonly tables: PositionTables; readonly device: Device },
  { shared, own }: RoutedObservers,
): Promise<Tensor3D> {
  const [b, t, width] = hidden.shape;
  const [flat, attended] = tidy((): [Tensor2D, Tensor2D] => {
    const x = reshape(hidden, [b * t, width]) as Tensor2D;
    return [x, withAttention(block, x, { b, t, tables }, shared)];
  });
  const source = block.decoder.parallelResidual ? flat : attended;
  try {
    const routes = await readRoutes(block, source, batch, device);
    return tidy(() => {
      const observe: Observe | undefined =
        (shared ?? own) && ((input, values, shares) => (input === 'ffn-norm' ? shared : own)?.(input, values, shares));
      return reshape(add(attended, feedForward(block, source, observe, routes)), [b, t, width]) as Tensor3D;
    });
  } finally {
    flat.dispose();
    if (attended !== flat) attended.dispose();
  }
}

async function readRoutes(block: LoadedBlock, x: Tensor2D, batch: TokenBatch, device: Device): Promise<Route[]> {
  const logits = tidy(() => routerLogits(block, normed(block, 'ffn-norm', x)));
  try {
    return routesOf((await device.read(logits)) as Float32Array, block.spec.experts!, realPositions(batch));
  } finally {
    logits.dispose();
  }
}
