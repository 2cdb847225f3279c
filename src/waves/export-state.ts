import { existsSync } from 'node:fs';
import path from 'node:path';
import { refuseExisting, writeFolderWhole } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { hashCheckpoint, manifestText } from '../manifest/index.js';
import { outputFormat, type Recipe } from '../recipe.js';
import { checkRoom, type History, stateFolder, type WaveState } from '../state/index.js';
import { checkStack } from './hash-stack.js';
import { manifestPlace, outputForm } from './output-form.js';
import { parseReference } from './reference.js';
import { manifestOf } from './result-manifest.js';
import { finalModel } from './stack.js';
import { type OpenStateOptions, openState } from './states.js';

export interface ExportOptions extends OpenStateOptions {
  /** A state of a run's output, as `parseReference` reads it; the output itself stands for its current state. */
  readonly reference: string;
  /** The folder to write, which must not exist. */
  readonly out: string;
  readonly dryRun?: boolean;
}

/** What was exported, or would be. */
export interface Exported {
  readonly out: string;
  readonly name: string;
  readonly state: WaveState;
  /** Hashes of the exported weights; see `WeightHashes`. */
  readonly weights: string;
  readonly metadata: string;
  readonly weightBytes: number;
  readonly manifest: string;
}

/**
 * Writes a state of a run as a model folder of its own, with the manifest that says how it came to be, whole or not at all. The run
 * is read and never touched. Throws `usage` for what is no state, and when the folder exists; what `openState` throws; and
 * `interrupted` when the signal is aborted, with nothing left.
 */
export async function exportState({ reference, out, dryRun = false, ...options }: ExportOptions): Promise<Exported> {
  await refuseExisting(out);
  const { checkpoint, name, origin } = await openState(stateOf(reference, options.state), options);
  try {
    if (origin === undefined) throw noState(reference);
    const { past, base, layers, model: seen } = origin;
    const recipe = namedRecipe(past.begin!.recipe, out);
    await checkStack({ base: base.model, layers, seen, folder: base.folder }, options);
    const model = await finalModel(base.model, layers);
    const form = await outputForm({ past: withRecipe(past, recipe), model, folder: base.folder });
    const hashes = await hashCheckpoint(form.checkpoint, options);
    const manifest = manifestText(manifestOf(past, hashes, base));
    const weightBytes = [...form.checkpoint.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    await checkRoom(path.dirname(path.resolve(out)), weightBytes);
    if (!dryRun) {
      const write = (place: string) => form.write(place, async () => manifest, options);
      await (outputFormat(recipe) === 'gguf' ? write(path.resolve(out)) : writeFolderWhole(out, write));
    }
    const { weights, metadata } = hashes;
    const where = { out: path.resolve(out), manifest: manifestPlace(path.resolve(out), recipe) };
    return { ...where, name, state: past.state, weights, metadata, weightBytes };
  } finally {
    await checkpoint.close();
  }
}

/** The run's recipe for a result of another name, which may also be the name of a file where the run's was a folder's, or not. */
function namedRecipe({ output, ...recipe }: Recipe, out: string): Recipe {
  const isFile = out.toLowerCase().endsWith('.gguf');
  const wasFile = outputFormat({ ...recipe, ...(output && { output }) }) === 'gguf';
  return { ...recipe, out, ...(output && isFile === wasFile && { output }) };
}

function withRecipe(past: History, recipe: Recipe): History {
  return { ...past, begin: { ...past.begin!, recipe } };
}

/** The reference with its point: an output's own path means where it is now. */
function stateOf(reference: string, state: string | undefined): string {
  const { kind } = parseReference(reference);
  return kind === 'path' && existsSync(stateFolder(reference, state).journal) ? `${reference}@current` : reference;
}

function noState(reference: string): BirdboneError {
  return new BirdboneError('usage', `${reference} is no state of a run.`, {
    suggestions: ['Name one, such as out/half@2, out/half@dense or out/half@TAG.'],
  });
}
