import type { TensorInfo } from '../../checkpoint/index.js';
import type { ObjectStore } from '../object-store.js';
import type { ObjectWriter, StoredObject } from '../object-writer.js';
import { type DeltaKind, headBytesOf, writeHead } from './format.js';
import { type Encoding, packStream } from './stream.js';

/** Writes one delta, chunk after chunk, into a store. */
export class DeltaWriter {
  readonly kind: DeltaKind;
  readonly #info: TensorInfo;
  readonly #writer: ObjectWriter;
  readonly #streams: { readonly encoding: Encoding; readonly length: number }[] = [];
  #bytes: number;

  private constructor(info: TensorInfo, kind: DeltaKind, writer: ObjectWriter) {
    this.kind = kind;
    this.#info = info;
    this.#writer = writer;
    this.#bytes = headBytesOf(info, kind);
  }

  /** Begins a delta of the tensor that `info` describes as it is after the wave. The caller commits or aborts it. */
  static async create(store: ObjectStore, info: TensorInfo, kind: DeltaKind): Promise<DeltaWriter> {
    return new DeltaWriter(info, kind, await store.begin(headBytesOf(info, kind)));
  }

  /** Bytes of the object as far as it is written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Writes the streams of the next chunk, in the format's order. They may be changed when this has returned. */
  async addChunk(streams: readonly Uint8Array[]): Promise<void> {
    for (const { encoding, bytes } of await Promise.all(streams.map(packStream))) {
      this.#streams.push({ encoding, length: bytes.length });
      this.#bytes += bytes.length;
      if (bytes.length > 0) await this.#writer.append(bytes);
    }
  }

  /** Puts the object in its place. Digests are of the tensor before, where there was one, and after the wave. */
  async commit(digests: { readonly before?: string | undefined; readonly after: string }): Promise<StoredObject> {
    const { dtype, shape } = this.#info;
    return this.#writer.commit(writeHead({ kind: this.kind, dtype, shape, ...digests }, this.#streams));
  }

  /** Leaves nothing behind; may be called at any time. */
  async abort(): Promise<void> {
    await this.#writer.abort();
  }
}
