import { BirdboneError } from '../errors.js';
import type { Model } from '../model/index.js';
import { Marks, type PlateGraph, plateGraph } from '../plates/index.js';
import type { History, WaveJournalRecord } from '../state/index.js';

type PlatesOfWave = Pick<WaveJournalRecord, 'wave' | 'plates'>;

/**
 * The plates that are shed in the current state: those of its active waves. `model` is any that has the shapes of the base.
 * Throws `unreadable` for plates that the model does not have.
 */
export function marksOf({ waves }: Pick<History, 'waves'>, { decoder }: Pick<Model, 'decoder'>): Marks {
  const shedding = waves.filter(({ active, plates }) => active && plates !== undefined);
  return marksOfWaves(shedding, () => plateGraph(decoder));
}

/** The plates that these waves have shed together. The graph is made for those that need one: there are models without plates. */
export function marksOfWaves(shedding: readonly PlatesOfWave[], graphOf: () => PlateGraph): Marks {
  if (shedding.length === 0) return Marks.none;
  const graph = graphOf();
  return shedding.reduce((marks, { wave, plates }) => marks.with(Marks.from(plates, graph, nameOf(wave))), Marks.none);
}

/**
 * The plates that no later wave of the run may shed: selective rollbacks found that they break the gate. Throws as `marksOf`.
 */
export function sparedOf({ waves }: Pick<History, 'waves'>, { decoder }: Pick<Model, 'decoder'>): Marks {
  const found = waves.flatMap(({ wave, selective }) =>
    selective?.outcome === 'found' ? [{ wave, culprits: selective.culprits }] : [],
  );
  if (found.length === 0) return Marks.none;
  const graph = plateGraph(decoder);
  return found.reduce(
    (spared, { wave, culprits }) => spared.with(Marks.from(culprits, graph, nameOf(wave))),
    Marks.none,
  );
}

/** Whether the state that `past` is at has shed plates: whether what is published of it has other shapes than its base. */
export function hasPlates({ waves }: Pick<History, 'waves'>): boolean {
  return waves.some(({ active, plates }) => active && plates !== undefined);
}

/**
 * Throws `usage` when tensors are to go to another wave one by one, and a wave of this run has shed plates: a plate is slices of
 * several tensors, and a model that has some of them back fits together no more.
 */
export function refuseTornPlates(past: History, globs: readonly string[] | undefined): void {
  const shedding = past.waves.find((wave): wave is typeof wave & Required<PlatesOfWave> => {
    return wave.verdict === 'committed' && wave.plates !== undefined;
  });
  if (globs === undefined || shedding === undefined) return;
  const kinds = Object.keys(shedding.plates).join(', ');
  throw new BirdboneError(
    'usage',
    `Wave ${shedding.wave} has shed plates (${kinds}), each of which is slices of several tensors; single tensors cannot be taken back (${globs.join(' ')}).`,
    { suggestions: ['Take the whole model back to a wave: leave --tensors out.'] },
  );
}

function nameOf(wave: number): string {
  return `wave ${wave} of the journal`;
}
