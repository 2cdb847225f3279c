import { createHash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { removeLeftovers, renameDurably, temporaryName, writeAt, writing } from './durable.js';

const DIGEST_CHUNK_BYTES = 4 * 1024 * 1024;

/** Where a tensor's bytes go. */
export interface PlannedTensor {
  /** From the start of the file. */
  readonly start: number;
  readonly byteLength: number;
}

/** A file of tensors but for their values. Bytes that neither the header nor a tensor has are zero. */
export interface TensorFilePlan {
  readonly header: Uint8Array;
  readonly tensors: ReadonlyMap<string, PlannedTensor>;
  /** Of the whole file; its end must be that of a tensor, of the header, or of padding after them. */
  readonly fileBytes: number;
}

/** A file that has begun. */
export interface BegunFile {
  readonly file: string;
  readonly temporary: string;
  readonly handle: FileHandle;
  readonly plan: TensorFilePlan;
}

/** Begins a planned file under a temporary name beside its place, with its header written. Throws `unwritable`. */
export async function beginTensorFile(file: string, plan: TensorFilePlan): Promise<BegunFile> {
  const temporary = temporaryName(file);
  return writing(file, async () => {
    await removeLeftovers(file);
    const handle = await open(temporary, 'wx+');
    try {
      await writeAt(handle, 0, plan.header);
      // What is never written, padding between tensors and after the last, reads as zeros.
      if (plan.fileBytes > plan.header.length) await handle.truncate(plan.fileBytes);
      return { file, temporary, handle, plan };
    } catch (error) {
      await handle.close();
      await rm(temporary, { force: true });
      throw error;
    }
  });
}

/**
 * Writes one file of tensors by position and makes it appear whole: `commit` syncs and renames it. Tensors may come in any
 * order, the bytes of one only from its start to its end. The file is a function of its plan and the values alone.
 */
export class TensorFileWriter {
  readonly #file: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  readonly #tensors: ReadonlyMap<string, PlannedTensor>;
  /** Bytes written so far, by tensor. */
  readonly #written = new Map<string, number>();

  protected constructor({ file, temporary, handle, plan }: BegunFile) {
    this.#file = file;
    this.#temporary = temporary;
    this.#handle = handle;
    this.#tensors = plan.tensors;
  }

  /**
   * Writes the next bytes of one tensor; `offset` is within the tensor and must be where the last write ended, so that no byte
   * can be left out. Throws `unwritable`; RangeError for bytes that the plan has no place for.
   */
  async write(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    const tensor = this.#tensors.get(name);
    const written = this.#written.get(name) ?? 0;
    if (tensor === undefined || offset !== written || offset + bytes.length > tensor.byteLength) {
      throw new RangeError(
        `Bytes ${offset} + ${bytes.length} of ${name} are not the next ones of ${this.#file}: ` +
          `${written} of ${tensor?.byteLength ?? 0} are written.`,
      );
    }
    // Before waiting, so that two writes at once cannot both take this place.
    this.#written.set(name, offset + bytes.length);
    await writing(this.#file, () => writeAt(this.#handle, tensor.start + offset, bytes));
  }

  /** sha256 of the whole file as the disk has it, in hex. Every tensor must have been written. */
  async digest(): Promise<string> {
    this.#refuseGaps();
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(DIGEST_CHUNK_BYTES);
    let position = 0;
    while (true) {
      const { bytesRead } = await writing(this.#file, () => this.#handle.read(buffer, 0, buffer.length, position));
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  }

  /** Puts the file in its place; it is on disk when this returns. On failure `abort` still has to be called. */
  async commit(): Promise<void> {
    this.#refuseGaps();
    await writing(this.#file, async () => {
      await this.#handle.sync();
      await this.#handle.close();
    });
    await renameDurably(this.#temporary, this.#file);
  }

  /** Leaves nothing behind. May be called at any time, also again and after `commit` failed. */
  async abort(): Promise<void> {
    // A closed FileHandle has the descriptor −1; closing it again would throw.
    if (this.#handle.fd !== -1) await this.#handle.close();
    await rm(this.#temporary, { force: true });
  }

  #refuseGaps(): void {
    for (const [name, { byteLength }] of this.#tensors) {
      const written = this.#written.get(name) ?? 0;
      if (written !== byteLength)
        throw new Error(`${this.#file}: ${written} of ${byteLength} bytes of ${name} written.`);
    }
  }
}
