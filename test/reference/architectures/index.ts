import type { ReferenceForward } from './definition.js';
import { gemma2 } from './gemma2.js';
import { llama } from './llama.js';
import { phi3 } from './phi3.js';
import { qwen2 } from './qwen2.js';
import { qwen3 } from './qwen3.js';

export type { ReferenceForward, ReferenceModel, ReferenceTensor } from './definition.js';

/** The float64 forward pass of each `model_type`. */
export const referenceForwards: Readonly<Record<string, ReferenceForward>> = { llama, qwen2, qwen3, phi3, gemma2 };
