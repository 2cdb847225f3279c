import { undo } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { findManifest, type HashOptions, hashCheckpoint, type Manifest } from '../manifest/index.js';
import { type Model, openPrunable, withCheckpoint } from '../model/index.js';
import { outputFormat } from '../recipe.js';
import { type History, historyAt, type StateFolder, verifyLayers } from '../state/index.js';
import type { Base } from './base.js';
import { hasPlates } from './marks.js';
import { closeLayers, openLayers } from './session.js';

/** Why the base at its path is not the run's, and who is told of the work. */
interface Loss {
  readonly lost: BirdboneError;
  readonly watch: HashOptions;
}

/**
 * The base model, made of what the run has published by taking the layers off again. It is the base by its digest, not by trust in
 * either. Throws `lost`, with what else is wrong, when the output is not what the run published, a layer is gone, or the result
 * has another digest.
 */
export async function openFromPublished(past: History, folder: StateFolder, { lost, watch }: Loss): Promise<Base> {
  try {
    const manifest = await publishedManifest(past, folder);
    const model = await openUndone(past, folder);
    try {
      const found = await hashCheckpoint(model.checkpoint, watch);
      if (found.weights !== past.begin!.base.weights)
        throw new Problem('its weights are not those it was published with');
      if (found.config !== manifest.config) throw new Problem('its config.json is not the one it was published with');
      return { model, path: folder.out, folder: folder.out, manifest: manifest.base?.manifest };
    } catch (error) {
      await model.checkpoint.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof BirdboneError && error.code === 'interrupted') throw error;
    if (error instanceof Problem || error instanceof BirdboneError) throw beyondRepair(lost, folder, error);
    throw error;
  }
}

/** Something about the published output that keeps it from being undone. */
class Problem extends Error {}

/** The manifest in the output, if it is the one that the journal has recorded. */
async function publishedManifest(past: History, folder: StateFolder): Promise<Manifest> {
  const found = await findManifest(folder.out);
  if (past.published === undefined || found === undefined) throw new Problem('nothing is published');
  if (found.sha256 !== past.manifest) throw new Problem('its manifest is not the one it was published with');
  return found.manifest;
}

/** The published model without its layers; closing its checkpoint closes them too. */
async function openUndone(past: History, folder: StateFolder): Promise<Model> {
  const then = historyAt(past, past.published!);
  if (hasPlates(then)) throw new Problem('plates were cut out of it, and what they held is in the base model alone');
  const form = outputFormat(past.begin!.recipe);
  if (form !== 'native')
    throw new Problem(`it was written as ${form}, and what its numbers were before is in the base alone`);
  await verifyLayers(
    folder,
    then.waves.filter(({ active }) => active),
  );
  const model = await openPrunable(folder.out);
  try {
    const layers = await openLayers(folder, then);
    try {
      const undone = undo(model.checkpoint, layers);
      const close = async () => {
        await undone.close();
        await closeLayers(layers);
      };
      return withCheckpoint(model, { ...undone, close });
    } catch (error) {
      await closeLayers(layers);
      throw error;
    }
  } catch (error) {
    await model.checkpoint.close();
    throw error;
  }
}

function beyondRepair(lost: BirdboneError, folder: StateFolder, cause: Error): BirdboneError {
  const details = {
    ...(lost.file !== undefined && { file: lost.file }),
    ...(lost.tensor !== undefined && { tensor: lost.tensor }),
  };
  return new BirdboneError(lost.code, `${lost.message} ${folder.out} does not give it back either: ${cause.message}`, {
    ...details,
    cause,
    suggestions: ['Restore the base model, byte for byte, and try again.'],
  });
}
