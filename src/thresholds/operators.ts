import type { Random } from '../random.js';

/** Ways to make a candidate of another one; each with steps of several sizes. */
export const OPERATORS = ['priced', 'pair', 'matrix', 'block'] as const;
export type OperatorName = (typeof OPERATORS)[number];

/** Parts of the smaller of two clusters (or matrices, or blocks) that a move takes. */
export const STEP_SIZES = [0.04, 0.12] as const;

/** A way to make a candidate, as the bandit counts it. */
export interface Operator {
  readonly name: OperatorName;
  readonly step: number;
}

interface Arm {
  readonly operator: Operator;
  pulls: number;
  wins: number;
}

/**
 * Chooses among ways to make candidates by how often each has made a better one: UCB1 (Auer, Cesa-Bianchi & Fischer 2002) over
 * operators and step sizes. Ties go to the one that the generator names, so that untried ones are tried in an order drawn by chance.
 */
export class OperatorBandit {
  readonly #arms: Arm[];
  #pulls = 0;

  constructor(operators: readonly OperatorName[] = OPERATORS) {
    this.#arms = operators.flatMap((name) =>
      STEP_SIZES.map((step) => ({ operator: { name, step }, pulls: 0, wins: 0 })),
    );
  }

  choose(random: Random): Operator {
    const scores = this.#arms.map(({ pulls, wins }) =>
      pulls === 0 ? Number.POSITIVE_INFINITY : wins / pulls + Math.sqrt((2 * Math.log(this.#pulls)) / pulls),
    );
    const best = Math.max(...scores);
    const equals = this.#arms.filter((_, i) => scores[i] === best);
    const arm = equals[random.below(equals.length)]!;
    // Counted at once, so that the candidates of one generation are not all made in one way.
    arm.pulls += 1;
    this.#pulls += 1;
    return arm.operator;
  }

  /** Takes in that a candidate made so was better than what it was made of. */
  reward({ name, step }: Operator): void {
    this.#arms.find(({ operator }) => operator.name === name && operator.step === step)!.wins += 1;
  }

  /** How often each was tried, and how often it was better. */
  record(): {
    readonly operator: OperatorName;
    readonly step: number;
    readonly tried: number;
    readonly better: number;
  }[] {
    return this.#arms.map(({ operator: { name, step }, pulls, wins }) => {
      return { operator: name, step, tried: pulls, better: wins };
    });
  }
}
