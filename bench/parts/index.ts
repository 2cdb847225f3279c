import { registryOf } from '../../src/registry.js';
import type { Part } from './part.js';

/**
 * What `npm run bench` measures, by the name of its results and of its section in docs/performance.md, in this order. A new part is a
 * file beside this one, a row here, and the markers `<!-- bench:name -->` and `<!-- /bench:name -->` in the page.
 */
export const parts = registryOf<Part>()('part of the bench', {
  products: () => import('./matrix-products.js'),
  wanda: () => import('./wanda.js'),
  sparsegpt: () => import('./sparsegpt.js'),
  gptq: () => import('./gptq.js'),
  hashing: () => import('./hashing.js'),
  loading: () => import('./loading.js'),
  evaluation: () => import('./evaluation.js'),
  scaling: () => import('./scaling.js'),
  sparse: () => import('./sparse.js'),
  'shed-speed': () => import('./shed-speed.js'),
  'start-up': () => import('./start-up.js'),
});
