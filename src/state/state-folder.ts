import path from 'node:path';
import { BirdboneError } from '../errors.js';

/** Where a run keeps what a later command needs: journal, layers, baseline scores. Never needed to load the result. */
export interface StateFolder {
  /** The output folder that this state belongs to, absolute. */
  readonly out: string;
  readonly root: string;
  readonly journal: string;
  readonly layers: string;
  /** Hidden states that did not fit into memory; worthless after the process that wrote them. */
  readonly spill: string;
  /** Names beside the output, on its file system, that publishing renames from and to. */
  readonly publishing: string;
  readonly replaced: string;
}

/** The state folder of an output: `<out>/../.birdbone/<name>`, or `state` when given. Touches nothing. */
export function stateFolder(out: string, state?: string): StateFolder {
  const absolute = path.resolve(out);
  const name = path.basename(absolute);
  const parent = path.dirname(absolute);
  if (name === '' || absolute === parent) {
    throw new BirdboneError('usage', `"${out}" cannot be an output folder: it has no name.`, {
      suggestions: ['Name a folder that does not exist yet.'],
    });
  }
  const root = state === undefined ? path.join(parent, '.birdbone', name) : path.resolve(state);
  return {
    out: absolute,
    root,
    journal: path.join(root, 'journal.jsonl'),
    layers: path.join(root, 'layers'),
    spill: path.join(root, 'spill'),
    publishing: path.join(parent, `.${name}.birdbone-new`),
    replaced: path.join(parent, `.${name}.birdbone-old`),
  };
}

/** The layer file of one wave, relative to the layers folder. */
export function layerFile(wave: number): string {
  return `wave-${String(wave).padStart(4, '0')}.safetensors`;
}
