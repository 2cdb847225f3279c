import { registryOf } from '../registry.js';
import type { Architecture } from './architecture.js';

/** The architectures that the forward pass runs, by `model_type`. */
export const architectures = registryOf<Architecture>()('architecture', {
  llama: () => import('./llama.js'),
  mistral: () => import('./mistral.js'),
});
