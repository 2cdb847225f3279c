import { config } from './formats/config.js';
import { gguf } from './formats/gguf.js';
import { pickle } from './formats/pickle.js';
import { safetensors } from './formats/safetensors.js';
import { safetensorsShards, torchShards } from './formats/shard-index.js';
import { torchLegacy } from './formats/torch-legacy.js';
import { torchZip } from './formats/torch-zip.js';
import type { FuzzFormat } from './fuzz-format.js';

/** Every format under fuzzing. A new one is a file and a place here. */
export const FORMATS: readonly FuzzFormat[] = [
  safetensors,
  gguf,
  torchZip,
  torchLegacy,
  pickle,
  safetensorsShards,
  torchShards,
  config,
];

/** The format of that name; throws RangeError naming those that exist. */
export function formatNamed(name: string): FuzzFormat {
  const format = FORMATS.find((candidate) => candidate.name === name);
  if (format !== undefined) return format;
  throw new RangeError(`There is no format ${name}; there are ${FORMATS.map((known) => known.name).join(', ')}.`);
}
