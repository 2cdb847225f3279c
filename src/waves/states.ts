import { type Checkpoint, overlay } from '../checkpoint/index.js';
import type { HashOptions } from '../manifest/index.js';
import { openComparable } from '../model/index.js';
import { type History, historyAt, type StateFolder, verifyLayers } from '../state/index.js';
import { type Base, openBase } from './base.js';
import { readPast } from './past.js';
import { nameOf, parseReference, stateAt } from './reference.js';
import { closeLayers, openLayers, type WaveLayer } from './session.js';

/** A model that a reference names, opened. */
export interface OpenedState {
  /** Its `close` closes everything that was opened for it. */
  readonly checkpoint: Checkpoint;
  /** How reports call it. */
  readonly name: string;
  /** Where it comes from, when it is a state of a run's output. */
  readonly origin?: StateOrigin;
}

/** What a state of a run is made of. */
export interface StateOrigin {
  readonly folder: StateFolder;
  readonly past: History;
  readonly base: Base;
  readonly layers: readonly WaveLayer[];
}

export interface OpenStateOptions extends HashOptions {
  /** Where journals lie, when not beside the outputs. */
  readonly state?: string;
}

/**
 * Opens what a reference names (see `parseReference`): a folder or file as it is, or a state of an output as its base seen through
 * layers. Takes no lock and writes nothing, so it works beside a run. Base and layers are read once, to be sure that they are those
 * of the run: throws `mismatch` where they are not, `usage` for a state that does not exist, and what `openCheckpoint` throws.
 */
export async function openState(text: string, options: OpenStateOptions = {}): Promise<OpenedState> {
  const reference = parseReference(text);
  const name = nameOf(reference);
  if (reference.kind === 'path') return { checkpoint: await openComparable(reference.path), name };
  const { out, point } = reference;
  const { folder, history } = await readPast({ out, ...(options.state !== undefined && { state: options.state }) });
  const past = historyAt(history, stateAt(point, history, folder).state);
  await verifyLayers(
    folder,
    past.waves.filter(({ active }) => active),
  );
  const base = await openBase(past, folder, options);
  try {
    return { ...(await seenThrough(base, past, folder)), name };
  } catch (error) {
    await base.model.checkpoint.close();
    throw error;
  }
}

/** The base through the layers of the current state; closing it closes them too. */
async function seenThrough(base: Base, past: History, folder: StateFolder): Promise<Omit<OpenedState, 'name'>> {
  const layers = await openLayers(folder, past);
  try {
    const stack = overlay(base.model.checkpoint, layers);
    const close = async () => {
      await stack.close();
      await closeLayers(layers);
    };
    // Its config is the base's; a lone file has that beside it.
    return { checkpoint: { ...stack, path: base.folder, close }, origin: { folder, past, base, layers } };
  } catch (error) {
    await closeLayers(layers);
    throw error;
  }
}
