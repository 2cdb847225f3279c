import type { Hash } from 'node:crypto';
import { beginTensorDigest, type Checkpoint, chunksOf, type TensorInfo } from '../checkpoint/index.js';
import { DeltaWriter } from './delta/delta-writer.js';
import { differing, splitPlanes, takeElements } from './delta/elements.js';
import { CHUNK_ELEMENTS, type DeltaKind, type Geometry, geometryOf } from './delta/format.js';
import type { LayerEntry } from './layer-object.js';
import type { StateBefore } from './masked-tensor.js';
import type { ObjectStore } from './object-store.js';

/** What a tensor was before. */
type TensorBefore = Pick<StateBefore, 'checkpoint' | 'digests'>;

/**
 * Stores the new bytes of one tensor as they come. Where type and shape stay, as their XOR with the old ones, or as a mask if
 * they only became zero here and there and that is smaller; otherwise whole. A tensor that was not there is stored as added.
 */
export class ReplacedTensor {
  readonly #info: TensorInfo;
  readonly #old: Checkpoint;
  readonly #geometry: Geometry;
  /** Ways to store it that are still possible. */
  #writers: DeltaWriter[];
  readonly #chunkBytes: number;
  /** Bytes of a chunk that is not whole yet; no memory is taken for chunks that come in one piece. */
  #chunk: Uint8Array | undefined;
  /** Undefined for a tensor that was not there. */
  readonly #before: Hash | undefined;
  /** The digest of the one before, where it is known without reading it. */
  readonly #known: string | undefined;
  readonly #after: Hash;
  #filled = 0;
  #written = 0;

  private constructor(info: TensorInfo, { checkpoint: old, digests }: TensorBefore, writers: DeltaWriter[]) {
    this.#info = info;
    this.#old = old;
    this.#known = digests?.get(info.name);
    this.#writers = writers;
    this.#geometry = geometryOf({ ...info, kind: 'whole' });
    const was = old.tensors.get(info.name);
    this.#chunkBytes = Math.min(info.byteLength, this.#geometry.bytesOf(CHUNK_ELEMENTS));
    this.#before = was && beginTensorDigest(was);
    this.#after = beginTensorDigest(info);
  }

  /** Begins; `info` is of the new tensor, and `before` has the one before it, if any. The caller finishes or aborts it. */
  static async create(store: ObjectStore, info: TensorInfo, before: TensorBefore): Promise<ReplacedTensor> {
    const writers: DeltaWriter[] = [];
    try {
      for (const kind of kindsFor(info, before.checkpoint.tensors.get(info.name))) {
        if (kind !== 'mask' || canMask(info)) writers.push(await DeltaWriter.create(store, info, kind));
      }
      return new ReplacedTensor(info, before, writers);
    } catch (error) {
      for (const writer of writers) await writer.abort();
      throw error;
    }
  }

  /** Takes the next bytes; throws RangeError for any others. They may be changed when this has returned. */
  async add(offset: number, bytes: Uint8Array): Promise<void> {
    if (offset !== this.#written || offset + bytes.length > this.#info.byteLength) {
      throw new RangeError(
        `Bytes ${offset} + ${bytes.length} are not the next ones of ${this.#info.name}: ${this.#written} are written.`,
      );
    }
    this.#written += bytes.length;
    for (let done = 0; done < bytes.length; ) {
      const part = bytes.subarray(done, done + this.#chunkBytes - this.#filled);
      done += part.length;
      // A chunk that comes in one piece is not put together first.
      if (part.length === this.#chunkBytes) {
        await this.#flush(offset + done, part);
        continue;
      }
      this.#chunk ??= new Uint8Array(this.#chunkBytes);
      this.#chunk.set(part, this.#filled);
      this.#filled += part.length;
      if (this.#filled === this.#chunkBytes) await this.#flush(offset + done, this.#chunk);
    }
    if (this.isWhole && this.#filled > 0) await this.#flush(this.#written, this.#chunk!.subarray(0, this.#filled));
  }

  /** Whether all its bytes have come. */
  get isWhole(): boolean {
    return this.#written === this.#info.byteLength;
  }

  /** Puts the smallest of the possible deltas into the store; undefined when nothing changed. */
  async finish(): Promise<LayerEntry | undefined> {
    const { name, dtype, shape, byteLength } = this.#info;
    if (this.#written !== byteLength)
      throw new Error(`${this.#written} of ${byteLength} bytes of ${name} are written.`);
    const [before, after] = [await this.#digestBefore(), this.#after.digest('hex')];
    const digests = before === undefined ? { after } : { before, after };
    const best = this.#writers.reduce((smallest, next) => (next.bytes < smallest.bytes ? next : smallest));
    const entry = { name, kind: best.kind, dtype, shape: [...shape], ...digests };
    if (!('before' in digests) || digests.before !== digests.after) {
      const { id, bytes } = await best.commit(digests);
      return { ...entry, object: id, bytes };
    }
    return undefined;
  }

  /** Of the tensor as it was; of one that is stored whole, nothing of the old has been read so far. */
  async #digestBefore(): Promise<string | undefined> {
    if (this.#before === undefined || this.#writers[0]?.kind !== 'whole') return this.#before?.digest('hex');
    if (this.#known !== undefined) return this.#known;
    for await (const bytes of chunksOf(this.#old, this.#info.name)) this.#before.update(bytes);
    return this.#before.digest('hex');
  }

  /** Leaves nothing unfinished behind; may be called at any time. */
  async abort(): Promise<void> {
    for (const writer of this.#writers) await writer.abort();
  }

  /** Stores a chunk, or what is left of the last one. */
  async #flush(end: number, after: Uint8Array): Promise<void> {
    this.#filled = 0;
    this.#after.update(after);
    const [first, mask] = this.#writers;
    if (first!.kind === 'whole' || first!.kind === 'added')
      return first!.addChunk(splitPlanes(after, this.#geometry.planes));
    const before = await this.#old.read(this.#info.name, { offset: end - after.length, length: after.length });
    this.#before?.update(before);
    if (mask !== undefined) await this.#addMask(mask, before, after);
    for (let index = 0; index < before.length; index += 1) before[index]! ^= after[index]!;
    await first!.addChunk(splitPlanes(before, this.#geometry.planes));
  }

  /** Adds a chunk to the mask, or gives the mask up: some element changed to something that is not zero. */
  async #addMask(mask: DeltaWriter, before: Uint8Array, after: Uint8Array): Promise<void> {
    const { planes } = this.#geometry;
    const bits = differing(before, after, planes);
    const rest = before.slice();
    const values = takeElements(rest, bits, planes);
    if (Buffer.compare(rest, after) === 0) return mask.addChunk([bits, ...values]);
    this.#writers = this.#writers.filter((writer) => writer !== mask);
    await mask.abort();
  }
}

/** In what forms a tensor may be stored, the surest first. */
function kindsFor(info: TensorInfo, was: TensorInfo | undefined): readonly DeltaKind[] {
  if (was === undefined) return ['added'];
  const isSame = was.dtype === info.dtype && was.shape.join() === info.shape.join();
  return isSame ? ['xor', 'mask'] : ['whole'];
}

function canMask({ dtype, shape }: TensorInfo): boolean {
  try {
    geometryOf({ kind: 'mask', dtype, shape });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
