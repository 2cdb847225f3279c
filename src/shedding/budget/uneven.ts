import type { PlateGraph } from '../../plates/index.js';
import { type Allotment, blockParameters, emptyAllotment, roundedRemoval, type Stock } from './allotment.js';

/** What the next removals from a stock would cost, in the order in which they would be made. */
export interface Curve {
  readonly stock: Stock;
  /** Plates that earlier waves have shed of it: they are part of the allotment. */
  readonly already: number;
  /**
   * What each further removal costs the model's predictions, in the same unit for all stocks. A stock's plates that must stay are
   * not among them.
   */
  readonly errors: readonly number[];
}

/**
 * The best plates anywhere: step by step from whatever stock the next step costs least for each parameter, until the sparsity is
 * reached. Removals are taken in the curves' order, so a stock is only asked for what has become its cheapest.
 */
export function targetedAllotment(graph: PlateGraph, sparsity: number, curves: readonly Curve[]): Allotment {
  const removed = emptyAllotment(graph);
  let owed = sparsity * blockParameters(graph);
  for (const { stock, already } of curves) {
    removed[stock.kind][stock.block] = already;
    owed -= already * stock.parameters;
  }
  while (owed > 0) {
    const best = cheapest(curves, removed);
    // A step that overshoots by more than it falls short without it is not taken.
    if (best === undefined || best.plates * best.stock.parameters > 2 * owed) break;
    removed[best.stock.kind][best.stock.block]! += best.plates;
    owed -= best.plates * best.stock.parameters;
  }
  return removed;
}

interface NextStep {
  readonly stock: Stock;
  readonly plates: number;
  readonly price: number;
}

function cheapest(curves: readonly Curve[], removed: Allotment): NextStep | undefined {
  let best: NextStep | undefined;
  for (const curve of curves) {
    const next = nextStep(curve, removed);
    if (next !== undefined && (best === undefined || next.price < best.price)) best = next;
  }
  return best;
}

/** As many plates as it takes to the next multiple of the stock's step, and their error for each parameter. */
function nextStep({ stock, already, errors }: Curve, removed: Allotment): NextStep | undefined {
  const gone = removed[stock.kind][stock.block]!;
  const width = (stock.count - gone) / stock.families;
  const kept = Math.ceil(width / stock.step - 1) * stock.step;
  const plates = (width - kept) * stock.families;
  const from = gone - already;
  if (kept <= 0 || from + plates > errors.length) return undefined;
  let error = 0;
  for (let i = from; i < from + plates; i += 1) error += errors[i]!;
  return { stock, plates, price: error / (plates * stock.parameters) };
}

/** No block gives less than half or more than twice the even share: a measured error is a figure of one text. */
const LEAST_SHARE = 0.5;
const MOST_SHARE = 2;

/**
 * A share of each block by its measured sensitivity: what the even share would cost there. Shares go with the inverse root of that
 * error, within half and twice the even one, and meet the sparsity together as near as whole steps allow.
 */
export function adaptiveAllotment(graph: PlateGraph, sparsity: number, curves: readonly Curve[]): Allotment {
  const held = curves.reduce((sum, { stock }) => sum + stock.count * stock.parameters, 0);
  const wanted = sparsity * blockParameters(graph);
  const even = wanted / held;
  const leanings = leaningsOf(curves, even);
  const at = (scale: number) => {
    const removed = emptyAllotment(graph);
    for (const [i, { stock, already }] of curves.entries()) {
      const share = Math.min(MOST_SHARE * even, Math.max(LEAST_SHARE * even, scale * even * leanings[i]!));
      const plates = roundedRemoval(stock, Math.min(0.99, share) * stock.count);
      removed[stock.kind][stock.block] = Math.max(already, plates);
    }
    return removed;
  };
  const taken = (removed: Allotment) =>
    curves.reduce((sum, { stock }) => sum + removed[stock.kind][stock.block]! * stock.parameters, 0);
  const scale = bisect((candidate) => taken(at(candidate)) >= wanted);
  const [below, above] = [at(scale.below), at(scale.above)];
  return wanted - taken(below) < taken(above) - wanted ? below : above;
}

/** How far from even each stock's share should be: the inverse root of its error, 1 in the geometric mean of all. */
function leaningsOf(curves: readonly Curve[], even: number): number[] {
  const errors = curves.map(({ stock, already, errors: marginal }) => {
    const plates = Math.max(1, Math.round(even * stock.count) - already);
    return marginal.slice(0, plates).reduce((sum, error) => sum + error, 0) / (plates * stock.parameters);
  });
  const logs = errors.map((error) => Math.log(Math.max(error, TINY)));
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  return logs.map((log) => Math.exp((mean - log) / 2));
}

/** In place of an error of 0, which has no logarithm. */
const TINY = 1e-30;

/** The largest scale at which `isEnough` does not hold yet, and the smallest at which it does, to a part in a million. */
function bisect(isEnough: (scale: number) => boolean): { readonly below: number; readonly above: number } {
  let [below, above] = [0, 1];
  while (!isEnough(above) && above < 2 ** 20) above *= 2;
  while (above - below > 1e-6 * above) {
    const middle = (below + above) / 2;
    if (isEnough(middle)) above = middle;
    else below = middle;
  }
  return { below, above };
}
