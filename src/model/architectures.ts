import { registryOf } from '../registry.js';
import type { Architecture } from './architecture.js';

/** The architectures that the forward pass runs, by `model_type`. */
export const architectures = registryOf<Architecture>()('architecture', {
  llama: () => import('./architectures/llama.js'),
  mistral: () => import('./architectures/mistral.js'),
});
