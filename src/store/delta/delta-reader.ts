import { countBits, joinPlanes, putElements, usedBits } from './elements.js';
import { broken, type DeltaHeader, type DeltaSource, type Geometry, readHead, type StreamEntry } from './format.js';
import { checkPacked, unpackStream } from './stream.js';

/**
 * Reads one delta, a chunk at a time. What is not as the format says is `unreadable`, and found before memory is taken for it:
 * a chunk has 2^20 elements at most, and no stream is inflated beyond what its chunk holds.
 */
export class DeltaReader {
  readonly header: DeltaHeader;
  readonly geometry: Geometry;
  readonly #source: DeltaSource;
  readonly #streams: readonly StreamEntry[];

  private constructor(source: DeltaSource, head: Awaited<ReturnType<typeof readHead>>) {
    this.#source = source;
    this.header = head.header;
    this.geometry = head.geometry;
    this.#streams = head.streams;
  }

  static async open(source: DeltaSource): Promise<DeltaReader> {
    return new DeltaReader(source, await readHead(source));
  }

  /** Of a mask's chunk, the bits of the elements that were removed: 1 = removed, and none beyond the last element. */
  async removedBits(chunk: number): Promise<Uint8Array> {
    this.#refuseKind('mask');
    const count = this.geometry.countIn(chunk);
    const bits = await this.#unpack(chunk, 0, Math.ceil(count / 8));
    const last = bits.length - 1;
    if ((bits[last]! & ~usedBits(last, count)) !== 0)
      throw this.#broken(chunk, 0, 'it has bits beyond the last element');
    return bits;
  }

  /** The bytes of a chunk before the wave XOR those after it; for a mask, `bits` spares reading them again. */
  async difference(chunk: number, bits?: Uint8Array): Promise<Uint8Array> {
    const { planes } = this.geometry;
    if (this.header.kind !== 'mask') return this.#planes(chunk, 'xor');
    const removed = bits ?? (await this.removedBits(chunk));
    const count = countBits(removed);
    const values = await this.#unpackAll(chunk, { first: 1, planes, length: count });
    return putElements(values, removed, this.geometry.countIn(chunk));
  }

  /** The bytes of a replaced or added tensor's chunk; at the start of `into` where they are stored as they are. */
  values(chunk: number, into?: Uint8Array): Promise<Uint8Array> {
    return this.#planes(chunk, this.header.kind === 'added' ? 'added' : 'whole', into);
  }

  /** Reads every chunk. */
  async readAll(): Promise<void> {
    for (let chunk = 0; chunk < this.geometry.chunks; chunk += 1) {
      if (this.header.kind === 'whole' || this.header.kind === 'added') await this.values(chunk);
      else await this.difference(chunk);
    }
  }

  async #planes(chunk: number, kind: DeltaHeader['kind'], into?: Uint8Array): Promise<Uint8Array> {
    this.#refuseKind(kind);
    const { planes, bytesOf, countIn } = this.geometry;
    if (planes === 1 && into !== undefined) return this.#unpack(chunk, 0, bytesOf(countIn(chunk)), into);
    return joinPlanes(await this.#unpackAll(chunk, { first: 0, planes, length: bytesOf(countIn(chunk)) / planes }));
  }

  #unpackAll(
    chunk: number,
    { first, planes, length }: { readonly first: number; readonly planes: number; readonly length: number },
  ): Promise<Uint8Array[]> {
    return Promise.all(Array.from({ length: planes }, (_, plane) => this.#unpack(chunk, first + plane, length)));
  }

  async #unpack(chunk: number, stream: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const entry = this.#streams[chunk * this.geometry.streamsPerChunk + stream];
    if (entry === undefined) throw new RangeError(`${this.#source.path} has no chunk ${chunk}.`);
    try {
      checkPacked(entry.encoding, entry.length, length);
      const isStored = entry.encoding === 'raw';
      const bytes = await this.#source.read(entry.offset, entry.length, isStored ? into : undefined);
      return await unpackStream({ encoding: entry.encoding, bytes }, length);
    } catch (error) {
      if (error instanceof RangeError) throw this.#broken(chunk, stream, error.message, error);
      throw error;
    }
  }

  #broken(chunk: number, stream: number, problem: string, cause?: unknown) {
    return broken(this.#source, `stream ${stream} of its chunk ${chunk} is damaged: ${problem}`, cause);
  }

  #refuseKind(kind: DeltaHeader['kind']): void {
    if (this.header.kind !== kind) throw new RangeError(`${this.#source.path} is a delta of kind ${this.header.kind}.`);
  }
}
