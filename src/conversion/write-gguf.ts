import { mkdir, rmdir } from 'node:fs/promises';
import path from 'node:path';
import {
  type Checkpoint,
  chunksOf,
  type GgufMetadata,
  GgufWriter,
  planGguf,
  refuseExisting,
  syncFolder,
  type TensorInfo,
  writing,
} from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import { isBlockDtype } from '../tensor/index.js';
import { rowsOf } from './block-types.js';
import type { Watch } from './prepared.js';

/** What goes into a GGUF: tensors in the order of the file. */
export interface GgufContent {
  readonly view: Checkpoint;
  readonly order: readonly string[];
  readonly metadata: GgufMetadata;
}

/** Bytes of the file that `writeGguf` would write. Throws as it does for what GGUF has no place for. */
export function ggufBytes({ view, order, metadata }: GgufContent): number {
  return planGguf(
    view.path,
    metadata,
    order.map((name) => view.tensors.get(name)!),
  ).fileBytes;
}

const COPY_CHUNK_BYTES = 1024 * 1024;

/** Writes a GGUF whole or not at all, and the folders above it. Throws `usage` when something has come under its name. */
export async function writeGguf(file: string, { view, order, metadata }: GgufContent, watch: Watch): Promise<void> {
  const infos = order.map((name) => view.tensors.get(name)!);
  await withFoldersAbove(file, async () => {
    const writer = await GgufWriter.create(file, metadata, infos);
    try {
      const total = infos.reduce((sum, { byteLength }) => sum + byteLength, 0);
      let done = 0;
      for (const info of infos) {
        const { name } = info;
        let offset = 0;
        for await (const bytes of chunksOf(view, name, chunkBytesOf(info))) {
          stopIfAborted(watch.signal);
          await writer.write(name, offset, bytes);
          offset += bytes.length;
          done += bytes.length;
          watch.report({ type: 'progress', stage: 'write', done, total, unit: 'bytes' });
        }
      }
      stopIfAborted(watch.signal);
      await refuseExisting(file);
      await writer.commit();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  });
}

/** As many whole rows as a chunk holds where rows are blocks: what is encoded is encoded by rows. */
function chunkBytesOf(info: TensorInfo): number {
  const { rows } = rowsOf(info);
  if (!isBlockDtype(info.dtype) || rows === 0) return COPY_CHUNK_BYTES;
  const rowBytes = info.byteLength / rows;
  return Math.max(rowBytes, COPY_CHUNK_BYTES - (COPY_CHUNK_BYTES % rowBytes));
}

/** Makes the folders above a file; when the work fails, those that were made for it go again. */
async function withFoldersAbove(file: string, work: () => Promise<void>): Promise<void> {
  const parent = path.dirname(path.resolve(file));
  const firstMade = await writing(file, () => mkdir(parent, { recursive: true }));
  try {
    // A new folder is a name in the one above it, which a power cut may take back.
    for (let at = parent; firstMade !== undefined && at.length >= firstMade.length; at = path.dirname(at)) {
      await syncFolder(path.dirname(at));
    }
    await work();
  } catch (error) {
    for (let at = parent; firstMade !== undefined && at.length >= firstMade.length; at = path.dirname(at)) {
      // Somebody may have put something into it in the meantime; then it stays, and what is above it.
      const removed = await rmdir(at).then(
        () => true,
        () => false,
      );
      if (!removed) break;
    }
    throw error;
  }
}
