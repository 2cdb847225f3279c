import { predictionsOf, rowsAt } from '../evidence/index.js';
import { createArrays, type Model, runBlocks, type SpillableArrays, type TokenBatch } from '../model/index.js';
import type { TrainContext } from './types.js';

/** Tokens that the teacher is run on at a time: enough that loading its blocks for them costs little. */
const TOKENS_AT_ONCE = 2 ** 15;

/**
 * What comes out of the teacher's last block at every position that predicts something, computed once for each group of windows, when
 * it is first needed. Its logits are made from that by the head alone: exact, and much smaller than the logits are.
 */
export class TeacherStates {
  readonly #teacher: Model;
  readonly #groups: readonly (readonly TokenBatch[])[];
  readonly #firsts: readonly number[];
  readonly #rows: SpillableArrays;
  readonly #known = new Set<number>();
  readonly #context: Omit<TrainContext, 'report'>;

  private constructor(
    teacher: Model,
    groups: readonly (readonly TokenBatch[])[],
    rows: SpillableArrays,
    context: Omit<TrainContext, 'report'>,
  ) {
    this.#teacher = teacher;
    this.#groups = groups;
    this.#rows = rows;
    this.#context = context;
    let first = 0;
    this.#firsts = groups.map((batches) => {
      first += batches.length;
      return first - batches.length;
    });
  }

  /** Nothing is computed yet. `context.memoryBytes` is what the states may take in memory. */
  static async open(
    teacher: Model,
    groups: readonly (readonly TokenBatch[])[],
    context: Omit<TrainContext, 'report'>,
  ): Promise<TeacherStates> {
    const { hidden } = teacher.decoder;
    const lengths = groups.flat().map((batch) => hidden * predictionsOf(batch).positions.length);
    return new TeacherStates(teacher, groups, await createArrays(lengths, context), context);
  }

  /** Rows [predictions, hidden] of a batch. `upcoming` are the groups that are needed next, this one first. */
  async rowsOf(group: number, batch: number, upcoming: Iterable<number>): Promise<Float32Array> {
    if (!this.#known.has(group)) await this.#compute(upcoming);
    return this.#rows.load(this.#firsts[group]! + batch);
  }

  close(): Promise<void> {
    return this.#rows.close();
  }

  async #compute(upcoming: Iterable<number>): Promise<void> {
    const wanted: number[] = [];
    let tokens = 0;
    for (const group of upcoming) {
      if (this.#known.has(group) || wanted.includes(group)) continue;
      wanted.push(group);
      tokens += this.#groups[group]!.reduce((sum, { ids }) => sum + ids.length, 0);
      if (tokens >= TOKENS_AT_ONCE) break;
    }
    const batches = wanted.flatMap((group) => this.#groups[group]!);
    const states = await runBlocks(this.#teacher, batches, this.#context);
    try {
      let at = 0;
      for (const group of wanted) {
        for (const [i, batch] of this.#groups[group]!.entries()) {
          const rows = rowsAt(await states.load(at), predictionsOf(batch).positions, states.hiddenSize);
          await this.#rows.store(this.#firsts[group]! + i, rows);
          at += 1;
        }
        this.#known.add(group);
      }
    } finally {
      await states.close();
    }
  }
}
