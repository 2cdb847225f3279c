import type { Tensor2D } from '@tensorflow/tfjs-core';
import { stopIfAborted } from '../errors.js';
import {
  applyNorm,
  disposeNorm,
  type HeadSection,
  type HiddenStates,
  headSections,
  loadFinalNorm,
  loadHead,
  type Model,
  type Norm,
  realPositions,
  stateRows,
} from '../model/index.js';
import { type Device, disposeMatrix, type HiddenAndHead, NextTokenComparer } from '../tensor/index.js';

interface Side {
  readonly model: Model;
  readonly norm: Norm;
}

export interface DivergenceSides {
  /** The model that is measured from, and its hidden states behind the last block: for at least the batches of the others. */
  readonly base: { readonly model: Model; readonly states: HiddenStates };
  /** One model whose weights were changed in several ways, and what each way gave, for the same batches. */
  readonly now: { readonly model: Model; readonly states: readonly HiddenStates[] };
}

/** Mean KL(base ‖ now) in nats over the real tokens, of each of `now.states`. */
export async function meanDivergences(
  { base, now }: DivergenceSides,
  { device, signal }: { readonly device: Device; readonly signal?: AbortSignal },
): Promise<number[]> {
  const batches = now.states[0]?.batches ?? [];
  const positions = batches.map(realPositions);
  // No token is predicted: only the distributions are compared.
  const comparers = now.states.map(() => positions.map(({ length }) => new NextTokenComparer(new Int32Array(length))));
  const norms = [await loadFinalNorm(base.model, device)];
  try {
    norms.push(await loadFinalNorm(now.model, device));
    const sides = { base: { ...base, norm: norms[0]! }, now: { ...now, norm: norms[1]! } };
    for (const section of headSections([base.model, now.model], device)) {
      stopIfAborted(signal);
      await overHeads(sides, section, device, async (baseSide, nowSide) => {
        for (const [i, rows] of positions.entries()) {
          await withNormed(sides.base, base.states, { i, rows, device }, async (baseHidden) => {
            for (const [k, states] of now.states.entries()) {
              await withNormed(sides.now, states, { i, rows, device }, (hidden) =>
                comparers[k]![i]!.add({ ...baseSide, hidden: baseHidden }, { ...nowSide, hidden }, device),
              );
            }
          });
        }
      });
    }
  } finally {
    norms.forEach(disposeNorm);
  }
  return comparers.map(meanOf);
}

type HeadSide = Omit<HiddenAndHead, 'hidden'>;

/** Calls `use` with a section of both heads on the device. */
async function overHeads(
  { base, now }: { readonly base: Side; readonly now: Side },
  section: HeadSection,
  device: Device,
  use: (base: HeadSide, now: HeadSide) => Promise<void>,
): Promise<void> {
  const heads = [await loadHead(base.model, device, section)];
  try {
    heads.push(await loadHead(now.model, device, section));
    await use(
      { head: heads[0]!, softcap: base.model.decoder.finalSoftcap },
      { head: heads[1]!, softcap: now.model.decoder.finalSoftcap },
    );
  } finally {
    heads.forEach(disposeMatrix);
  }
}

async function withNormed(
  { norm }: Side,
  states: HiddenStates,
  { i, rows, device }: { readonly i: number; readonly rows: Int32Array; readonly device: Device },
  use: (hidden: Tensor2D) => Promise<void>,
): Promise<void> {
  const hidden = await stateRows(states, i, rows, device);
  const normed = applyNorm(norm, hidden);
  hidden.dispose();
  try {
    await use(normed);
  } finally {
    normed.dispose();
  }
}

function meanOf(comparers: readonly NextTokenComparer[]): number {
  let total = 0;
  let tokens = 0;
  for (const comparer of comparers) {
    const { divergence } = comparer.comparison();
    for (const value of divergence) total += value;
    tokens += divergence.length;
  }
  return total / tokens;
}
