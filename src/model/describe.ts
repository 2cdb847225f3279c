import path from 'node:path';
import { type Checkpoint, type JsonObject, quoted } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { Architecture } from './architecture.js';
import { architectures } from './architectures.js';
import { Claims } from './claims.js';
import { type DecoderConfig, readConfig } from './config.js';
import type { Decoder } from './decoder.js';
import { claimBlock } from './describe-block.js';

/**
 * Returns what the checkpoint's tensors mean under the config (config.json parsed; `file` is what errors call it).
 * Every stored tensor is claimed exactly once, with the shape that the config implies; only embedding and head may be
 * the same one.
 * Throws `unsupported` for a model or an option that is not run (by name, with what is), `unreadable` for a config that
 * is malformed and for a tensor that is missing, left over or of another shape.
 */
export async function describeModel(
  checkpoint: Checkpoint,
  config: JsonObject,
  file = path.join(checkpoint.path, 'config.json'),
): Promise<Decoder> {
  const type = config['model_type'];
  if (typeof type !== 'string' || !architectures.names.includes(type)) {
    const found = typeof type === 'string' ? `is a ${quoted(type)} model` : 'names no model_type';
    const known = architectures.names.join(', ');
    throw new BirdboneError('unsupported', `${file} ${found}. Supported: ${known}.`, {
      file,
      suggestions: ['Score or prune it by its weights alone: --metric magnitude (prune: with --max-drop 100%).'],
    });
  }
  const architecture = await architectures.load(type);
  return claimTensors(checkpoint, readConfig(config, architecture, file), architecture);
}

function claimTensors(checkpoint: Checkpoint, config: DecoderConfig, architecture: Architecture): Decoder {
  const claims = new Claims(checkpoint, architecture.optionalPrefix);
  const { numbers, tieHead } = config;
  const { tensors } = architecture;
  const tableShape = [numbers.vocabulary, numbers.hidden];
  const embedding = claims.claim(tiedName(claims, tensors.embedding, tieHead, tensors), tableShape);
  const headName = tiedName(claims, tensors.head, tieHead, tensors);
  const head = claims.storedName(headName) === embedding ? embedding : claims.claim(headName, tableShape);
  const { positions, finalNormBias } = tensors;
  const ends = {
    ...(positions !== undefined && { positions: claims.claim(positions, [numbers.maxContext, numbers.hidden]) }),
    finalNorm: claims.claim(tensors.finalNorm, [numbers.hidden]),
    ...(finalNormBias !== undefined && { finalNormBias: claims.claim(finalNormBias, [numbers.hidden]) }),
  };
  const blocks = config.blocks.map((shape, index) => claimBlock(claims, { index, shape }, config, architecture));
  claims.refuseSurplus(architecture.leftovers);
  return {
    architecture: architecture.modelType,
    ...numbers,
    blocks,
    embedding,
    ...ends,
    head,
    tied: embedding === head,
  };
}

/**
 * The name under which a tensor that may be tied is found. Ties count only for a name that is neither stored nor an
 * alias: a file that stores both keeps both, also when its config says they are one.
 */
function tiedName(claims: Claims, name: string, tie: boolean, { embedding, head }: Architecture['tensors']): string {
  if (!tie || claims.has(name)) return name;
  const twin = name === head ? embedding : head;
  return claims.has(twin) ? twin : name;
}
