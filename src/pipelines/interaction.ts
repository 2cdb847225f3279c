/** What a step does to a model by itself. */
export interface Effect {
  readonly name: string;
  /** Of the published tensors, as a part of the dense model's. */
  readonly size: number;
  /** Nats a token more than the dense model. */
  readonly nats: number;
  readonly accuracyLoss: number;
}

/** Several steps together, against what they do alone. */
export interface Interaction {
  readonly alone: readonly Effect[];
  readonly together: Effect;
  /** The sum of the losses alone, and what the steps cost together beyond it; negative where they get on better than alone. */
  readonly expectedNats: number;
  readonly extraNats: number;
  readonly expectedAccuracyLoss: number;
  readonly extraAccuracyLoss: number;
  /** The product of the sizes alone. */
  readonly expectedSize: number;
}

/** Compares the measured effect of steps together with their effects alone, which would add up if they did not interact. Pure. */
export function interactionOf(together: Effect, alone: readonly Effect[]): Interaction {
  const sum = (of: (effect: Effect) => number) => alone.reduce((total, effect) => total + of(effect), 0);
  const [expectedNats, expectedAccuracyLoss] = [sum(({ nats }) => nats), sum(({ accuracyLoss }) => accuracyLoss)];
  return {
    alone,
    together,
    expectedNats,
    extraNats: together.nats - expectedNats,
    expectedAccuracyLoss,
    extraAccuracyLoss: together.accuracyLoss - expectedAccuracyLoss,
    expectedSize: alone.reduce((product, { size }) => product * size, 1),
  };
}
