/** The bits of 256 chunks, so of ten layers over 25 million weights; or the F16 values of 16, one for each of ten layers and some. */
const MAX_CACHED_BYTES = 32 * 1024 * 1024;

/**
 * The pieces of layers that were decoded last, so that a walk in small steps decodes each once. Arrays that come from it are
 * shared: nobody changes them.
 */
export class ChunkCache {
  /** In the order of their last use. */
  readonly #pieces = new Map<string, Uint8Array>();
  /** Pieces that somebody makes: reads side by side may want the same. */
  readonly #making = new Map<string, Promise<Uint8Array>>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes = MAX_CACHED_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The piece under this key, made if it is not there. */
  async get(key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const piece = this.#pieces.get(key) ?? (await this.#made(key, make));
    this.#drop(key);
    this.#pieces.set(key, piece);
    this.#bytes += piece.length;
    for (const oldest of this.#pieces.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
    return piece;
  }

  #made(key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const begun = this.#making.get(key);
    if (begun !== undefined) return begun;
    const piece = make().finally(() => this.#making.delete(key));
    this.#making.set(key, piece);
    return piece;
  }

  #drop(key: string): void {
    this.#bytes -= this.#pieces.get(key)?.length ?? 0;
    this.#pieces.delete(key);
  }
}
