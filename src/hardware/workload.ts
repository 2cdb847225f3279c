import { elementsOf } from '../checkpoint/index.js';
import type { Decoder, Model } from '../model/index.js';

/** A weight of the model as a strategy sees it. */
export interface WeightUse {
  readonly tensor: string;
  readonly rows: number;
  readonly columns: number;
  /** `linear`: inside the blocks. `head`: multiplied once for each token. `embedding`: looked up, a row a token. `rest`: vectors. */
  readonly part: 'linear' | 'head' | 'embedding' | 'rest';
  readonly role: string;
  readonly block?: number;
  /** The share of it that one token goes through: below 1 for experts. */
  readonly share: number;
}

/** What running a model costs, before anybody says how its weights are stored. */
export interface Workload {
  readonly weights: readonly WeightUse[];
  readonly blocks: number;
  /** Of keys and values of one token in all blocks: numbers, not bytes. */
  readonly cacheNumbersPerToken: number;
  /** Of the widest vectors that live at once for one token inside a block: numbers. */
  readonly activationNumbersPerToken: number;
  /** Logits of one token. */
  readonly vocabulary: number;
  /** Multiplications and additions of weights for one token. */
  readonly productOperations: number;
  /** Those of its attention over a cache of so many tokens. */
  attentionOperations(cachedTokens: number): number;
}

/** What it takes to run a model, read from its shapes alone. */
export function workloadOf({ decoder, checkpoint }: Model): Workload {
  const linears = decoder.blocks.flatMap(({ index, experts, linears: specs }) =>
    specs.map(({ weight, rows, columns, role, expert }): WeightUse => {
      const share = expert === undefined || experts === undefined ? 1 : experts.perToken / experts.count;
      return { tensor: weight, rows, columns, part: 'linear', role, block: index, share };
    }),
  );
  const listed = new Set([...linears.map(({ tensor }) => tensor), decoder.embedding, decoder.head]);
  const table = (tensor: string, part: 'head' | 'embedding'): WeightUse => {
    return { tensor, rows: decoder.vocabulary, columns: decoder.hidden, part, role: part, share: 1 };
  };
  const rest = [...checkpoint.tensors.values()]
    .filter(({ name }) => !listed.has(name))
    .map(({ name, shape }): WeightUse => {
      return { tensor: name, rows: 1, columns: elementsOf(shape), part: 'rest', role: 'rest', share: 1 };
    });
  const weights = [
    ...linears,
    // A tied table is stored once, and read whole for each token as the head that it is.
    ...(decoder.tied ? [] : [table(decoder.embedding, 'embedding')]),
    table(decoder.head, 'head'),
    ...rest,
  ];
  return { weights, ...costsOf(decoder, weights) };
}

function costsOf(decoder: Decoder, weights: readonly WeightUse[]): Omit<Workload, 'weights'> {
  const attending = decoder.blocks.filter(({ attention }) => attention);
  const cacheNumbersPerToken = attending.reduce((sum, { kvHeads, headDim }) => sum + 2 * kvHeads * headDim, 0);
  const productOperations = weights
    .filter(({ part }) => part === 'linear' || part === 'head')
    .reduce((sum, { rows, columns, share }) => sum + 2 * rows * columns * share, 0);
  return {
    blocks: decoder.blocks.length,
    cacheNumbersPerToken,
    activationNumbersPerToken: 2 * decoder.ffn + 4 * decoder.hidden,
    vocabulary: decoder.vocabulary,
    productOperations,
    attentionOperations: (cachedTokens) =>
      attending.reduce((sum, { heads, headDim, slidingWindow = cachedTokens }) => {
        return sum + 4 * heads * headDim * Math.min(cachedTokens, slidingWindow);
      }, 0),
  };
}
