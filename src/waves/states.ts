import { type Checkpoint, ggufMetadata, openCheckpoint } from '../checkpoint/index.js';
import type { HashOptions } from '../manifest/index.js';
import { openComparable } from '../model/index.js';
import { type History, historyAt, type StateFolder, verifyLayers } from '../state/index.js';
import { type Base, openBase } from './base.js';
import { readPast } from './past.js';
import { nameOf, parseReference, stateAt } from './reference.js';
import { closeLayers, openLayers, type WaveLayer } from './session.js';
import { type StackedModel, stacked } from './stack.js';

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
  /** The base through them. */
  readonly model: StackedModel;
}

export interface OpenStateOptions extends HashOptions {
  /** Where journals lie, when not beside the outputs. */
  readonly state?: string;
  /** A GGUF under its own names and types, not as the Hugging Face model that it can be seen as. */
  readonly asStored?: boolean;
}

/**
 * Opens two models to compare, as `openState` does. Two GGUF files are opened as they are, so that a type, a text or a tokenizer
 * that differs shows; one of them is compared with anything else under Hugging Face's names.
 */
export async function openPair(
  before: string,
  after: string,
  options: OpenStateOptions = {},
): Promise<readonly [before: OpenedState, after: OpenedState]> {
  const asStored = (await isGguf(before)) && (await isGguf(after));
  const first = await openState(before, { ...options, asStored });
  try {
    return [first, await openState(after, { ...options, asStored })];
  } catch (error) {
    await first.checkpoint.close();
    throw error;
  }
}

async function isGguf(text: string): Promise<boolean> {
  const reference = parseReference(text);
  if (reference.kind === 'state') return false;
  const checkpoint = await openCheckpoint(reference.path);
  await checkpoint.close();
  return ggufMetadata(checkpoint) !== undefined;
}

/**
 * Opens what a reference names (see `parseReference`): a folder or file as it is, or a state of an output as its base seen through
 * layers. Takes no lock and writes nothing, so it works beside a run. Base and layers are read once, to be sure that they are those
 * of the run: throws `mismatch` where they are not, `usage` for a state that does not exist, and what `openCheckpoint` throws.
 */
export async function openState(text: string, options: OpenStateOptions = {}): Promise<OpenedState> {
  const reference = parseReference(text);
  const name = nameOf(reference);
  if (reference.kind === 'path') {
    const open = options.asStored ? openCheckpoint : openComparable;
    return { checkpoint: await open(reference.path), name };
  }
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
    const model = await stacked(base.model, layers);
    const close = async () => {
      await model.checkpoint.close();
      await closeLayers(layers);
    };
    // Its config is the base's; a lone file has that beside it.
    const checkpoint = { ...model.checkpoint, path: base.folder, close };
    return { checkpoint, origin: { folder, past, base, layers, model } };
  } catch (error) {
    await closeLayers(layers);
    throw error;
  }
}
