import { quoted } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { GgufArchitecture } from './architecture.js';
import { deci } from './architectures/deci.js';
import { gemma2, gemma3 } from './architectures/gemma.js';
import { gpt2, gptneox } from './architectures/gpt.js';
import { llama } from './architectures/llama.js';
import { phi3 } from './architectures/phi3.js';
import { qwen2, qwen3 } from './architectures/qwen.js';

/** Every architecture that is translated. A new one is a row, and in `src/model/` what it takes to run it. */
export const ggufArchitectures: readonly GgufArchitecture[] = [
  ...[llama, deci, qwen2, qwen3],
  ...[gemma2, gemma3, phi3, gpt2, gptneox],
];

/** The architecture of a GGUF. Throws `unsupported`, with what is known, for another. */
export function architectureOfGguf(name: string, file: string): GgufArchitecture {
  const found = ggufArchitectures.find((architecture) => architecture.name === name);
  if (found !== undefined) return found;
  const known = ggufArchitectures.map((architecture) => architecture.name).join(', ');
  throw new BirdboneError(
    'unsupported',
    `${file} holds a model of the architecture ${quoted(name)}, whose tensors have no known Hugging Face names. Known: ${known}.`,
    { file },
  );
}

/** The GGUF architecture that a `model_type` is written as. Throws `unsupported`, with what is known, for another. */
export function architectureOfModel(modelType: string): GgufArchitecture {
  const found = ggufArchitectures.find(({ models }) => models.some((model) => model.modelType === modelType));
  if (found !== undefined) return found;
  const known = ggufArchitectures.flatMap(({ models }) => models.map((model) => model.modelType)).join(', ');
  throw new BirdboneError('unsupported', `A ${quoted(modelType)} model cannot be written as GGUF. Known: ${known}.`);
}
