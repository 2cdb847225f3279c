import { stopIfAborted } from '../errors.js';
import { disposeBlock, type HiddenStates, loadBlock, runBlock } from '../model/index.js';
import { holdsIndex, type Marks, type PlateGraph } from '../plates/index.js';
import { type Compensation, type Curve, readWeight, type Share, type Stock, stocksOf } from '../shedding/index.js';
import { calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';
import { consumersOf, gramsOf, removalsOf } from './shed-block.js';

/**
 * Measures every block as it is before the wave: which of its plates would go first, and what each would change in its output,
 * relative to the energy of the residual stream behind the block. One pass; one block's weights and Gram matrices are resident.
 */
export async function surveyCurves(
  {
    graph,
    share,
    compensation,
  }: { readonly graph: PlateGraph; readonly share: Share; readonly compensation: Compensation },
  stay: Marks,
  context: EditContext,
): Promise<Curve[]> {
  const { model, device, report, signal } = context;
  const stocks = stocksOf(graph, share);
  const states = await calibrationStates(context);
  const curves: Curve[] = [];
  const total = model.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index += 1) {
      stopIfAborted(signal);
      const own = stocks.filter(({ block }) => block === index);
      const found: { stock: Stock; errors: number[] }[] = [];
      for (const stock of own)
        found.push({ stock, errors: await errorsOf({ graph, stock, compensation, stay }, states, context) });
      const block = await loadBlock(model, index, device);
      try {
        await runBlock(block, states, device, { store: true, ...(signal && { signal }) });
      } finally {
        disposeBlock(block);
      }
      const energy = await energyOf(states);
      for (const { stock, errors } of found) {
        curves.push({
          stock,
          already: alreadyShed(stock, context.marks),
          errors: errors.map((error) => error / energy),
        });
      }
      report({ type: 'progress', stage: 'survey', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states.close();
  }
  return curves;
}

function alreadyShed({ kind, block }: Stock, marks: Marks): number {
  return marks.indices(kind, block).reduce((sum, { count }) => sum + count, 0);
}

/** Errors of a stock's removals in order; of experts side by side, as each loses as many channels as the others. */
async function errorsOf(
  at: { readonly graph: PlateGraph; readonly stock: Stock; readonly compensation: Compensation; readonly stay: Marks },
  states: HiddenStates,
  context: EditContext,
): Promise<number[]> {
  const { graph, stock, compensation } = at;
  const consumers = consumersOf(graph, stock.block, stock.kind);
  const grams = await gramsOf(context.model, { index: stock.block, consumers }, states, context);
  const out = [context.marks, at.stay].map((plates) => plates.indices(stock.kind, stock.block));
  const perFamily: number[][] = [];
  for (const { spec, sets, first } of consumers) {
    const weight = await readWeight(context.model.checkpoint, spec);
    const candidates = sets.filter((_, set) => !out.some((ranges) => holdsIndex(ranges, first + set)));
    const most = Math.max(0, Math.min(candidates.length, sets.length - stock.step));
    const columns = { weight, gram: grams.get(spec.input)!, sets: candidates };
    const order = await removalsOf(columns, { count: most, compensation }, { ...context, name: spec.weight });
    perFamily.push(order.map(({ error }) => error));
  }
  const shortest = Math.min(...perFamily.map(({ length }) => length));
  return Array.from({ length: shortest }, (_, i) => perFamily.map((errors) => errors[i]!)).flat();
}

/** Σ ‖h‖² over the real tokens. */
async function energyOf(states: HiddenStates): Promise<number> {
  let energy = 0;
  for (const [i, { lengths, columns }] of states.batches.entries()) {
    const values = await states.load(i);
    for (const [row, length] of lengths.entries()) {
      const start = row * columns * states.hiddenSize;
      for (let at = start; at < start + length * states.hiddenSize; at += 1) energy += values[at]! ** 2;
    }
  }
  return energy;
}
