import type { ReferenceForward } from './definition.js';
import { gemma2 } from './gemma2.js';
import { gemma3 } from './gemma3.js';
import { gptNeox } from './gpt-neox.js';
import { gpt2 } from './gpt2.js';
import { llama } from './llama.js';
import { mistral } from './mistral.js';
import { mixtral } from './mixtral.js';
import { nemotronNas } from './nemotron-nas.js';
import { phi3 } from './phi3.js';
import { qwen2 } from './qwen2.js';
import { qwen3 } from './qwen3.js';

export type { ReferenceForward, ReferenceModel, ReferenceTensor } from './definition.js';

/** The float64 forward pass of each `model_type`. */
export const referenceForwards: Readonly<Record<string, ReferenceForward>> = {
  llama,
  mistral,
  mixtral,
  qwen2,
  qwen3,
  gemma2,
  gemma3_text: gemma3,
  phi3,
  gpt2,
  gpt_neox: gptNeox,
  'nemotron-nas': nemotronNas,
};
