import { parentPort, workerData } from 'node:worker_threads';
import { embed, type LinearInputs, runBlock, type Score, score } from './forward.js';
import type { ReferenceModel } from './load.js';

/** What a worker does with its share of the passages. Hidden states and weights lie in shared memory. */
export type Job =
  | { readonly kind: 'embed' | 'run' | 'statistics'; readonly block: number; readonly passages: readonly number[] }
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

parentPort?.on('message', (job: Job) => {
  const answers = job.passages.map((passage) => work(workerData as Shared, job, passage));
  parentPort?.postMessage(answers);
});
