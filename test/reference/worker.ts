import { parentPort, workerData } from 'node:worker_threads';
import { embed, type LinearInputs, runBlock, type Score, score } from './forward.js';
import type { ReferenceModel } from './load.js';

/** What a worker does with its share of the passages. Hidden states and weights lie in shared memory. */
export type Job =
  | {
      readonly kind: 'embed' | 'run' | 'statistics' | 'grams';
      readonly block: number;
      readonly passages: readonly number[];
    }
  | { readonly kind: 'score'; readonly passages: readonly number[] };

export interface Shared {
  readonly model: ReferenceModel;
  readonly passages: readonly Int32Array[];
  /** Per passage [tokens, hidden]; absent when there is only scoring to do. */
  readonly hidden?: readonly Float64Array[];
}

export type Squares = Readonly<Record<keyof LinearInputs, Float64Array>>;

export interface Answer {
  readonly passage: number;
  readonly squares?: Squares;
  /** Σ x xᵀ of each input, over all of the job's passages. */
  readonly grams?: Squares;
  readonly score?: Score;
}

/** Does one job on one passage. */
export function work(shared: Shared, job: Job, passage: number): Answer {
  const { model } = shared;
  const ids = shared.passages[passage]!;
  if (job.kind === 'score') return { passage, score: score(model, ids) };
  const hidden = shared.hidden![passage]!;
  if (job.kind === 'embed') {
    hidden.set(embed(model, ids));
    return { passage };
  }
  const block = model.blocks[job.block]!;
  if (job.kind === 'run') {
    runBlock(model, block, hidden);
    return { passage };
  }
  return { passage, squares: columnSquares(model, runBlock(model, block, hidden.slice())) };
}

/** Σ over tokens of x² per column, of each of the four inputs. */
function columnSquares(model: ReferenceModel, inputs: LinearInputs): Squares {
  const widths = { attention: model.hidden, output: model.heads * model.headDim, ffn: model.hidden, down: model.ffn };
  const sum = (name: keyof LinearInputs) => {
    const squares = new Float64Array(widths[name]);
    for (const [i, value] of inputs[name].entries()) squares[i % squares.length]! += value * value;
    return squares;
  };
  return { attention: sum('attention'), output: sum('output'), ffn: sum('ffn'), down: sum('down') };
}

/** Σ over tokens and passages of x xᵀ, of each of the four inputs: the upper triangles first, then mirrored. */
export function sumGrams({ model, hidden }: Shared, block: number, passages: readonly number[]): Answer {
  const widths = { attention: model.hidden, output: model.heads * model.headDim, ffn: model.hidden, down: model.ffn };
  const sums = Object.entries(widths).map(
    ([name, n]) => [name as keyof LinearInputs, new Float64Array(n * n)] as const,
  );
  for (const passage of passages) {
    const inputs = runBlock(model, model.blocks[block]!, hidden![passage]!.slice());
    for (const [name, sum] of sums) addOuterProducts(sum, inputs[name], widths[name]);
  }
  for (const [name, sum] of sums) {
    const n = widths[name];
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) sum[i * n + j] = sum[j * n + i]!;
  }
  return { passage: passages[0] ?? 0, grams: Object.fromEntries(sums) as unknown as Squares };
}

function addOuterProducts(sum: Float64Array, x: Float64Array, n: number): void {
  for (let token = 0; token < x.length; token += n) {
    for (let i = 0; i < n; i++) {
      const factor = x[token + i]!;
      const row = i * n;
      for (let j = i; j < n; j++) sum[row + j]! += factor * x[token + j]!;
    }
  }
}

parentPort?.on('message', (job: Job) => {
  const shared = workerData as Shared;
  const answers =
    job.kind === 'grams'
      ? [sumGrams(shared, job.block, job.passages)]
      : job.passages.map((passage) => work(shared, job, passage));
  parentPort?.postMessage(answers);
});
