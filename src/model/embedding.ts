import { readFloats } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { TokenBatch } from './batches.js';
import type { Model } from './decoder.js';
import type { HiddenStates } from './hidden-states.js';
import { refuseLongerTexts } from './rope.js';

export interface EmbeddingOptions {
  /**
   * Float32 bytes of rows that stay in memory between batches: all of a small table, the common words of a large one.
   */
  readonly cacheBytes?: number;
  /**
   * Rows are read in pages of about this many float32 bytes: few reads for a small table, little waste for a large one.
   */
  readonly pageBytes?: number;
}

/**
 * Fills the hidden states with the embedding rows of their batches' ids, scaled and with learned positions added where the model
 * has them. Rows come by positional reads of the pages
 * that hold them; never more than `cacheBytes` (64 MiB) of the table is in memory, whatever its size. Throws `usage`
 * for an id outside the vocabulary.
 */
export async function embedBatches(model: Model, states: HiddenStates, options: EmbeddingOptions = {}): Promise<void> {
  const pages = new EmbeddingPages(model, options);
  const positions = await learnedPositions(model, states.batches);
  const scale = model.decoder.embeddingScale;
  const longest = states.batches.reduce((length, { ids }) => Math.max(length, ids.length), 0);
  // Each batch comes by the same memory, as it is copied to where it stays.
  const memory = new Float32Array(longest * model.decoder.hidden);
  for (const [i, batch] of states.batches.entries()) {
    const values = memory.subarray(0, batch.ids.length * model.decoder.hidden);
    await pages.lookUp(batch, values);
    if (scale !== undefined) multiply(values, Math.fround(scale));
    if (positions !== undefined) addPositions(values, batch, positions);
    await states.store(i, values);
  }
}

/** The learned positions' rows for the longest batch, [t, hidden]; undefined for a model that has none. */
async function learnedPositions({ checkpoint, decoder }: Model, batches: readonly TokenBatch[]) {
  if (decoder.positions === undefined) return undefined;
  const count = batches.reduce((longest, { columns }) => Math.max(longest, columns), 0);
  refuseLongerTexts(decoder, count);
  return readFloats(checkpoint, decoder.positions, { start: 0, count });
}

function multiply(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i]! *= factor;
}

function addPositions(values: Float32Array, batch: TokenBatch, positions: Float32Array): void {
  const rowLength = values.length / batch.rows;
  for (let row = 0; row < batch.rows; row++) {
    for (let i = 0; i < rowLength; i++) values[row * rowLength + i]! += positions[i]!;
  }
}

class EmbeddingPages {
  readonly #model: Model;
  readonly #rowsPerPage: number;
  readonly #maxPages: number;
  /** Least recently used first: a Map keeps insertion order. */
  readonly #pages = new Map<number, Float32Array>();

  constructor(model: Model, { cacheBytes = 64 * 2 ** 20, pageBytes = 64 * 2 ** 10 }: EmbeddingOptions) {
    this.#model = model;
    const rowBytes = 4 * model.decoder.hidden;
    this.#rowsPerPage = Math.max(1, Math.floor(pageBytes / rowBytes));
    this.#maxPages = Math.max(1, Math.floor(cacheBytes / (this.#rowsPerPage * rowBytes)));
  }

  /** Writes [rows, columns, hidden] of the batch. Positions are visited page by page, so each page is read once a batch. */
  async lookUp(batch: TokenBatch, values: Float32Array): Promise<void> {
    const { hidden } = this.#model.decoder;
    for (const [page, positions] of this.#positionsByPage(batch.ids)) {
      const rows = await this.#page(page);
      for (const position of positions) {
        const row = batch.ids[position]! - page * this.#rowsPerPage;
        values.set(rows.subarray(row * hidden, (row + 1) * hidden), position * hidden);
      }
    }
  }

  #positionsByPage(ids: Int32Array): [number, number[]][] {
    const { vocabulary } = this.#model.decoder;
    const byPage = new Map<number, number[]>();
    ids.forEach((id, position) => {
      if (id < 0 || id >= vocabulary) throw outsideVocabulary(id, vocabulary);
      const page = Math.floor(id / this.#rowsPerPage);
      const positions = byPage.get(page);
      if (positions === undefined) byPage.set(page, [position]);
      else positions.push(position);
    });
    return [...byPage].sort(([a], [b]) => a - b);
  }

  async #page(index: number): Promise<Float32Array> {
    const cached = this.#pages.get(index);
    this.#pages.delete(index);
    const { checkpoint, decoder } = this.#model;
    const start = index * this.#rowsPerPage;
    const count = Math.min(this.#rowsPerPage, decoder.vocabulary - start);
    const rows = cached ?? (await readFloats(checkpoint, decoder.embedding, { start, count }));
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size < this.#maxPages) break;
      this.#pages.delete(oldest);
    }
    this.#pages.set(index, rows);
    return rows;
  }
}

function outsideVocabulary(id: number, vocabulary: number): BirdboneError {
  return new BirdboneError(
    'usage',
    `The tokenizer gave id ${id}; the model has embeddings for ids 0 to ${vocabulary - 1}.`,
    { suggestions: ["Use the model's own tokenizer.json."] },
  );
}
