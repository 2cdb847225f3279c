import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import type { Checkpoint } from './checkpoint.js';
import { type ByteSource, FileSource } from './files/bytes.js';
import { unreadableBecause } from './files/failure.js';
import { quoted } from './files/quote.js';
import type { CheckpointFormat } from './format.js';

/** The weights that transformers loads from a folder, in its order. */
const WEIGHT_FILES = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
];

/** Names of weights, in formats that are read under another name and formats that are not read. */
const OTHER_WEIGHTS = /\.(?:gguf|bin|pt|pth|th|ckpt|h5|msgpack|onnx|safetensors)$/;
const READABLE = /\.(?:gguf|bin|pt|pth|th|ckpt|safetensors)$/;

const HEAD_BYTES = 16;

/**
 * Opens a Hugging Face folder, a folder with one file of weights by any name, or one file, with the first of `formats` that
 * recognises it. Its `path` is the path given.
 * Throws `unreadable` for what is not there or breaks its format's rules, `unsupported` for what no format recognises.
 */
export async function openWith(formats: readonly CheckpointFormat[], at: string): Promise<Checkpoint> {
  const status = await stat(at).catch((error: unknown) => {
    throw unreadableBecause(at, error);
  });
  const file = await FileSource.open(status.isDirectory() ? await findWeights(at) : at);
  try {
    const format = formatOf(formats, file);
    if (format === undefined) throw unknownFormat(formats, file.path);
    return { ...(await format.open(file)), path: at };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The first format that says by the first bytes or the name that it is its own; undefined when none does. */
export function formatOf(formats: readonly CheckpointFormat[], file: ByteSource): CheckpointFormat | undefined {
  const head = new Uint8Array(Math.min(HEAD_BYTES, file.size));
  file.readSync(0, head);
  return formats.find((candidate) => candidate.recognises(head, file.path));
}

async function findWeights(folder: string): Promise<string> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw unreadableBecause(folder, error);
  });
  const chosen = WEIGHT_FILES.find((name) => names.includes(name));
  if (chosen !== undefined) return path.join(folder, chosen);
  const weights = names.filter((name) => OTHER_WEIGHTS.test(name)).sort();
  const [lone] = weights;
  if (weights.length === 1 && READABLE.test(lone!)) return path.join(folder, lone!);
  const has = weights.length === 0 ? 'no weights' : `only ${weights.slice(0, 4).map(quoted).join(', ')}`;
  const message = `Cannot read ${folder}: it has ${has}. A model's folder needs one of ${WEIGHT_FILES.join(', ')}.`;
  throw new BirdboneError(weights.length === 0 ? 'unreadable' : 'unsupported', message, {
    file: folder,
    suggestions: [weights.some((name) => READABLE.test(name)) ? NAME_THE_FILE : CONVERT],
  });
}

const NAME_THE_FILE = 'Name the file that is meant.';
const CONVERT = 'Convert it to safetensors with the tool that wrote it, or download the model as that.';

function unknownFormat(formats: readonly CheckpointFormat[], file: string): BirdboneError {
  const known = [...new Set(formats.map(({ name }) => name))].join(', ');
  return new BirdboneError('unsupported', `Cannot read ${file}: it is in none of the known formats (${known}).`, {
    file,
    suggestions: [CONVERT],
  });
}
