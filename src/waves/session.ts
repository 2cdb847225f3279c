import { type Layer, onlyTensors } from '../checkpoint/index.js';
import type { Report } from '../events.js';
import type { KvScales } from '../layouts/index.js';
import {
  type History,
  historyOf,
  type Journal,
  type StateFolder,
  type WaveJournalRecord,
  waveOf,
} from '../state/index.js';
import { ChunkCache, type LayerEntry, ObjectStore, openStoredLayer } from '../store/index.js';
import type { Device } from '../tensor/index.js';
import type { Inputs } from './inputs.js';
import type { Known } from './known.js';
import { cacheScales } from './layout-extras.js';

/** What a running wave loop holds: its inputs, its device, its journal. */
export interface Session {
  readonly inputs: Inputs;
  readonly device: Device;
  readonly folder: StateFolder;
  readonly journal: Journal;
  readonly known: Known;
  readonly report: Report;
  readonly signal: AbortSignal | undefined;
  readonly memoryBytes: number;
  /** Options for scorePassages. */
  readonly scoring: {
    readonly device: Device;
    readonly report: Report;
    readonly memoryBytes: number;
    readonly spillFolder: string;
    readonly signal?: AbortSignal;
  };
}

export function history(session: { readonly journal: Journal }): History {
  return historyOf(session.journal.records);
}

/** One wave's layer, and what the state folder's store says of each tensor in it. */
export interface WaveLayer extends Layer {
  readonly wave: number;
  readonly entries: ReadonlyMap<string, LayerEntry>;
  /** `final`: it lies over the model as the waves before have cut it. */
  readonly shapes?: WaveJournalRecord['shapes'];
  /** The plates that the wave has shed. */
  readonly plates?: WaveJournalRecord['plates'];
  /** Scales by block with which keys and values go through a cache of FP8 from this wave on. */
  readonly cacheScales?: ReadonlyMap<number, KvScales>;
}

/**
 * The layers of the waves that count now, opened in order, each without the tensors that a partial rollback put before it. The
 * caller closes them.
 */
export async function openLayers(
  folder: StateFolder,
  past: History,
  store = new ObjectStore(folder.objects),
): Promise<WaveLayer[]> {
  const layers: WaveLayer[] = [];
  const cache = new ChunkCache();
  const at = waveOf(past.state);
  try {
    for (const wave of past.waves) {
      if (!wave.active) continue;
      const layer = await openStoredLayer(store, wave.layer.sha256, cache);
      const isIn = (name: string) => at(name) >= wave.wave;
      const entries = new Map([...layer.entries].filter(([name]) => isIn(name)));
      const { shapes, plates } = wave;
      const stage = { ...(shapes && { shapes }), ...(plates && { plates }), ...cacheScales(wave.details) };
      layers.push({ ...onlyTensors(layer, isIn), wave: wave.wave, entries, ...stage });
    }
  } catch (error) {
    await closeLayers(layers);
    throw error;
  }
  return layers;
}

export async function closeLayers(layers: readonly Layer[]): Promise<void> {
  for (const layer of layers) await layer.close();
}
