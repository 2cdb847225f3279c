import { createHash } from 'node:crypto';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import type { ObjectId } from '../store/index.js';

const OBJECTS = 'objects';

/** Where a run keeps what a later command needs: journal, objects, baseline scores. Never needed to load the result. */
export interface StateFolder {
  /** The output folder that this state belongs to, absolute. */
  readonly out: string;
  readonly root: string;
  readonly journal: string;
  /** The store of what the waves changed. */
  readonly objects: string;
  /** Hidden states that did not fit into memory; worthless after the process that wrote them. */
  readonly spill: string;
  /** How far long work in a wave has come, a file for each wave; worthless once the wave is in the journal. */
  readonly progress: string;
  /** Where the search for the run's recipe, if there was one, keeps the candidates that it has made. */
  readonly search: string;
  /** Names beside the output, on its file system: where publishing writes, what it renames from there, and what it renames to. */
  readonly publishing: string;
  /** `publishing` itself, or the file in it where the output is one file. */
  readonly staged: string;
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
  // Two runs may have one output and different states; what one is writing is not the other's to remove.
  const owner = state === undefined ? '' : `.${createHash('sha256').update(root).digest('hex').slice(0, 8)}`;
  const publishing = path.join(parent, `.${name}${owner}.birdbone-new`);
  return {
    out: absolute,
    root,
    journal: path.join(root, 'journal.jsonl'),
    objects: path.join(root, OBJECTS),
    spill: path.join(root, 'spill'),
    progress: path.join(root, 'progress'),
    search: `${root}.search`,
    publishing,
    staged: name.toLowerCase().endsWith('.gguf') ? path.join(publishing, name) : publishing,
    replaced: path.join(parent, `.${name}${owner}.birdbone-old`),
  };
}

/** The file of an object, relative to the state folder, as a journal names it. */
export function objectFile(id: ObjectId): string {
  return path.posix.join(OBJECTS, id.slice(0, 2), id);
}
