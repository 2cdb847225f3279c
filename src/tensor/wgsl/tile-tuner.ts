import { median } from 'simple-statistics';
import type { ProductShape, TilePolicy, Trial } from './kernel.js';

/** The fastest tile of each kernel and shape class, on one adapter. */
export type TileChoices = Readonly<Record<string, string>>;

/** Seconds that the GPU takes for what `work` queues; infinite where it refuses. */
export type SecondsOf = (work: () => void) => Promise<number>;

/** Sides that shapes are told apart by: below the last, a tile's own size and how many processors are busy decide. */
const SIDES = [16, 64, 256, 1024, 4096] as const;
/** Long enough that a tile's start and end count for little, short enough that operands take 16 MiB at most. */
const DEPTH = 1024;
/** Besides a first round, which compiles. */
const ROUNDS = 3;

/**
 * Takes the tile that was fastest for a shape's class, where one was measured; else the kernel's first candidate, and remembers
 * that the class is to be measured. Tiles change no bit of a result (product-tile.ts), so that it does not matter when.
 */
export class TileTuner implements TilePolicy {
  readonly #choices: Map<string, string>;
  #unmeasured = new Map<
    string,
    { readonly shape: ProductShape; readonly candidates: readonly string[]; trial: Trial }
  >();

  constructor(known: TileChoices = {}) {
    this.#choices = new Map(Object.entries(known));
  }

  get choices(): TileChoices {
    return Object.fromEntries([...this.#choices].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  choose(kernel: string, shape: ProductShape, candidates: readonly string[], trial?: Trial): string {
    const { name, representative } = shapeClassOf(shape);
    const key = `${kernel} ${name}`;
    const known = this.#choices.get(key);
    if (known !== undefined && candidates.includes(known)) return known;
    if (trial !== undefined && candidates.length > 1) {
      this.#unmeasured.set(key, { shape: representative, candidates, trial });
    }
    return candidates[0]!;
  }

  /** Measures the classes that have come up since the last call, tiles turn about. Whether there was anything to measure. */
  async settle(secondsOf: SecondsOf): Promise<boolean> {
    const due = this.#unmeasured;
    this.#unmeasured = new Map();
    for (const [key, { shape, candidates, trial }] of due) {
      const seconds = new Map(candidates.map((tile): [string, number[]] => [tile, []]));
      for (let round = 0; round <= ROUNDS; round += 1) {
        for (const tile of candidates) {
          const taken = await secondsOf(() => trial(tile, shape));
          if (round > 0) seconds.get(tile)!.push(taken);
        }
      }
      this.#choices.set(key, fastestTile(seconds));
    }
    return due.size > 0;
  }
}

/** The tile of the least median; of equals the first. */
export function fastestTile(seconds: ReadonlyMap<string, readonly number[]>): string {
  const medians = [...seconds].map(([tile, each]) => ({ tile, seconds: median([...each]) }));
  return medians.reduce((best, each) => (each.seconds < best.seconds ? each : best)).tile;
}

/** A shape's class by its sides, each rounded up to one of a few, and a shape that stands for all of the class. */
export function shapeClassOf({ batch, m, n }: ProductShape): { name: string; representative: ProductShape } {
  const side = (length: number) => SIDES.find((each) => length <= each) ?? SIDES.at(-1)!;
  const name = `${side(m)}x${side(n)}${batch > 1 ? ' batched' : ''}`;
  // Of a batch one is measured: what a batch adds are more tiles of the same.
  return { name, representative: { batch: 1, m: side(m), n: side(n), k: DEPTH } };
}
