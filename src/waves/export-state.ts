import { existsSync } from 'node:fs';
import path from 'node:path';
import { refuseExisting, writeCheckpoint, writeFolderWhole } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { hashCheckpoint, MANIFEST_FILE, manifestText } from '../manifest/index.js';
import { checkRoom, stateFolder, type WaveState } from '../state/index.js';
import { checkDigests } from './expected-digests.js';
import { hasPlates, publishedView } from './marks.js';
import { parseReference } from './reference.js';
import { manifestOf } from './result-manifest.js';
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
    const { past, base, layers } = origin;
    const seenHashes = await hashCheckpoint(checkpoint, options);
    checkDigests(seenHashes, layers);
    const written = await publishedView(past, checkpoint, base.model);
    const hashes = hasPlates(past) ? await hashCheckpoint(written, options) : seenHashes;
    const manifest = manifestText(manifestOf(past, hashes, base));
    const weightBytes = [...written.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    await checkRoom(path.dirname(path.resolve(out)), weightBytes);
    if (!dryRun) {
      await writeFolderWhole(out, (temporary) =>
        writeCheckpoint(written, temporary, {
          carryFrom: base.folder,
          maxShardBytes: past.begin!.recipe.maxShardBytes,
          extraFiles: { [MANIFEST_FILE]: manifest },
          ...options,
        }),
      );
    }
    const { weights, metadata } = hashes;
    const where = { out: path.resolve(out), manifest: path.join(path.resolve(out), MANIFEST_FILE) };
    return { ...where, name, state: past.state, weights, metadata, weightBytes };
  } finally {
    await checkpoint.close();
  }
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
