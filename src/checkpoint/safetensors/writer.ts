import { createHash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { TensorInfo } from '../checkpoint.js';
import { renameDurably, temporaryName, writing } from '../files/durable.js';
import { makeSafetensorsHeader, type PlannedTensor } from './plan.js';

const DIGEST_CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * Writes one safetensors file by position and makes it appear whole: `commit` syncs and renames it. Tensors may come in any
 * order, the bytes of one only from its start to its end. The file is a function of tensors and metadata alone.
 */
export class SafetensorsWriter {
  readonly #file: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  readonly #tensors: ReadonlyMap<string, PlannedTensor>;
  /** Bytes written so far, by tensor. */
  readonly #written = new Map<string, number>();

  private constructor(
    file: string,
    opened: { temporary: string; handle: FileHandle; tensors: ReadonlyMap<string, PlannedTensor> },
  ) {
    this.#file = file;
    this.#temporary = opened.temporary;
    this.#handle = opened.handle;
    this.#tensors = opened.tensors;
  }

  /**
   * Begins the file under a temporary name beside it: everything but the values is known. Throws `unwritable`, and
   * `unsupported` for more tensors or metadata than a safetensors header can have.
   */
  static async create(
    file: string,
    infos: readonly TensorInfo[],
    metadata: Readonly<Record<string, string>>,
  ): Promise<SafetensorsWriter> {
    const { header, tensors } = makeSafetensorsHeader(file, infos, metadata);
    const temporary = temporaryName(file);
    return writing(file, async () => {
      const handle = await open(temporary, 'wx+');
      const writer = new SafetensorsWriter(file, { temporary, handle, tensors });
      try {
        await writer.#writeAt(0, header);
        return writer;
      } catch (error) {
        await writer.abort();
        throw error;
      }
    });
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
    await writing(this.#file, () => this.#writeAt(tensor.start + offset, bytes));
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

  async #writeAt(position: number, bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }

  #refuseGaps(): void {
    for (const [name, { byteLength }] of this.#tensors) {
      const written = this.#written.get(name) ?? 0;
      if (written !== byteLength)
        throw new Error(`${this.#file}: ${written} of ${byteLength} bytes of ${name} written.`);
    }
  }
}
