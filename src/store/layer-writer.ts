import { elementsOf, type LayerPlan, type LayerWriter, type TensorInfo } from '../checkpoint/index.js';
import { type LayerEntry, layerText } from './layer-object.js';
import { type StateBefore, storeMask } from './masked-tensor.js';
import type { ObjectStore } from './object-store.js';
import type { StoredObject } from './object-writer.js';
import { ReplacedTensor } from './replaced-tensor.js';

/** A wave that is about to be proposed. */
export interface LayerSettings {
  readonly wave: number;
  readonly plan: LayerPlan;
  readonly before: StateBefore;
}

/**
 * Stores one wave's layer, tensor by tensor as an edit writes it, and names it with `commit`. Tensors that the wave leaves as
 * they are have no entry. The same state, plan, bits and bytes make the same objects on the same zlib; whoever dies under way
 * leaves objects that the next attempt finds, or that `gc` removes.
 */
export class StoredLayerWriter implements LayerWriter {
  readonly #store: ObjectStore;
  readonly #settings: LayerSettings;
  /** What the plan announced, by name. */
  readonly #masks: ReadonlyMap<string, number>;
  readonly #values: ReadonlyMap<string, TensorInfo>;
  readonly #entries: LayerEntry[] = [];
  readonly #maskedSoFar = new Set<string>();
  readonly #replaced = new Map<string, ReplacedTensor>();
  /** What became of tensors all of whose bytes are written: they are put in their places one after the other, while others come. */
  readonly #finished = new Map<string, Promise<LayerEntry | undefined>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: ObjectStore, settings: LayerSettings) {
    this.#store = store;
    this.#settings = settings;
    this.#masks = new Map(settings.plan.masks.map(({ name, elements }) => [name, elements]));
    this.#values = new Map(settings.plan.values.map((info) => [info.name, info]));
  }

  async writeMask(name: string, bits: Uint8Array): Promise<void> {
    const info = this.#infoBefore(name);
    const elements = elementsOf(info.shape);
    if (this.#masks.get(name) !== elements || bits.length !== Math.ceil(elements / 8) || this.#maskedSoFar.has(name)) {
      throw new RangeError(`A mask of ${bits.length} bytes for ${name} was not planned, or is written already.`);
    }
    this.#maskedSoFar.add(name);
    const entry = await storeMask(this.#store, this.#settings.before, { info, bits });
    if (entry !== undefined) this.#entries.push(entry);
  }

  async writeValues(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    const info = this.#values.get(name);
    if (info === undefined) throw new RangeError(`Values of ${name} were not planned.`);
    if (this.#finished.has(name)) throw new RangeError(`All values of ${name} are written already.`);
    const { before } = this.#settings;
    if (before.checkpoint.aliases.has(name)) throw new RangeError(`${name} is a name of another tensor.`);
    const tensor = this.#replaced.get(name) ?? (await ReplacedTensor.create(this.#store, info, before));
    this.#replaced.set(name, tensor);
    await tensor.add(offset, bytes);
    if (tensor.isWhole) this.#finish(name, tensor);
  }

  /** Has the disk work while the next tensors are made; nothing is kept of one but its entry. What fails is told by `commit`. */
  #finish(name: string, tensor: ReplacedTensor): void {
    const finished = this.#last.then(async () => {
      const entry = await tensor.finish();
      await tensor.abort();
      this.#replaced.delete(name);
      return entry;
    });
    this.#finished.set(name, finished);
    this.#last = finished.catch(() => {});
  }

  /** Puts the layer into the store; it and all its deltas are on disk when this returns. On failure `abort` is still to be called. */
  async commit(): Promise<StoredObject> {
    const missing = [...this.#masks.keys()].find((name) => !this.#maskedSoFar.has(name));
    if (missing !== undefined) throw new Error(`The mask of ${missing} was planned and not written.`);
    for (const { name, byteLength } of this.#values.values()) {
      if (byteLength === 0 && !this.#finished.has(name)) await this.writeValues(name, 0, new Uint8Array(0));
      const finished = this.#finished.get(name) ?? this.#replaced.get(name)?.finish();
      if (finished === undefined) throw new Error(`Values of ${name} were planned and not written.`);
      const entry = await finished;
      if (entry !== undefined) this.#entries.push(entry);
    }
    await this.abort();
    const tensors = this.#entries.sort((left, right) => (left.name < right.name ? -1 : 1));
    return this.#store.put(layerText({ wave: this.#settings.wave, tensors }));
  }

  /** Leaves nothing half written behind. May be called at any time. */
  async abort(): Promise<void> {
    await this.#last;
    for (const tensor of this.#replaced.values()) await tensor.abort();
  }

  #infoBefore(name: string): TensorInfo {
    const info = this.#settings.before.checkpoint.tensors.get(name);
    if (info === undefined) throw new RangeError(`The model before the wave stores no tensor ${name}.`);
    return info;
  }
}
