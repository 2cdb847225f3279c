import { makeFolder } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { DEFAULT_MEMORY_BYTES } from '../model/index.js';
import { lock, stateFolder } from '../state/index.js';
import { openDevice } from '../tensor/index.js';
import { closeInputs, openInputs, type RunOptions } from '../waves/index.js';
import { candidatesOf } from './candidates.js';
import { Race } from './race.js';
import type { SearchResult } from './search-result.js';
import { subjectOf } from './subject.js';

/**
 * Looks for the smallest model that a recipe's techniques make inside its gate: candidates are made once, each as a run of its own, and
 * measured by successive halving on growing parts of the gate's text. Everything that was made and measured is kept in
 * `.birdbone/<name>.search` beside the output, so an interrupted search goes on where it was. Throws `usage` for a recipe without a
 * gate; what making a candidate throws.
 */
export async function search(options: RunOptions): Promise<SearchResult> {
  const folder = searchFolder(options);
  const inputs = await openInputs(options.recipe);
  try {
    const { threads, signal, memoryBytes = DEFAULT_MEMORY_BYTES } = options;
    const device = await openDevice(options.device ?? 'auto', threads === undefined ? {} : { threads });
    try {
      const scoring = { device, memoryBytes, spillFolder: folder, ...(signal && { signal }) };
      const subject = subjectOf(inputs, scoring);
      await makeFolder(folder);
      const release = await lock(folder);
      try {
        return await new Race(subject, folder, options).run(candidatesOf(options.recipe));
      } finally {
        await release();
      }
    } finally {
      await device.close();
    }
  } finally {
    await closeInputs(inputs);
  }
}

/** The run that a search leads to. Throws `gate-failed` when no candidate passes the gate. */
export function foundRun(options: RunOptions, { best, tried }: SearchResult): RunOptions {
  if (best !== null) return { ...options, recipe: { ...options.recipe, steps: [...best.steps] } };
  const nearest = [...tried].sort((left, right) => left.nats - right.nats)[0];
  throw new BirdboneError(
    'gate-failed',
    `None of ${tried.length} candidates passed the gate; the nearest, ${nearest?.name}: ${nearest?.reason}. Nothing was published.`,
    { suggestions: ['Allow a larger loss: --max-drop 5%', 'Begin from smaller steps, of which half are tried too.'] },
  );
}

/** Where a search keeps what it has made. */
export function searchFolder(options: Pick<RunOptions, 'recipe' | 'state'>): string {
  return stateFolder(options.recipe.out, options.state).search;
}
