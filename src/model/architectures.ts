import { registryOf } from '../registry.js';
import type { Architecture } from './architecture.js';

/** The architectures that the forward pass runs, by `model_type`. */
export const architectures = registryOf<Architecture>()('architecture', {
  llama: () => import('./architectures/llama.js'),
  mistral: () => import('./architectures/mistral.js'),
  mixtral: () => import('./architectures/mixtral.js'),
  qwen2: () => import('./architectures/qwen2.js'),
  qwen3: () => import('./architectures/qwen3.js'),
  gemma2: () => import('./architectures/gemma2.js'),
  gemma3_text: () => import('./architectures/gemma3.js'),
  phi3: () => import('./architectures/phi3.js'),
  gpt2: () => import('./architectures/gpt2.js'),
  gpt_neox: () => import('./architectures/gpt-neox.js'),
  'nemotron-nas': () => import('./architectures/nemotron-nas.js'),
});
