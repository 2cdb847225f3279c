import { BirdboneError } from '../errors.js';
import { lossAt } from './decomposition.js';
import { factorParameters, largestUsefulRank } from './factors.js';
import type { Spectrum } from './ranks.js';

/** Parameters that a matrix may get, and what they win of its outputs. */
interface Step {
  readonly matrix: number;
  /** The rank after it; the number of rows or columns, whichever is smaller, where the matrix is then stored whole. */
  readonly rank: number;
  readonly parameters: number;
  readonly gain: number;
}

/**
 * Ranks that remove at least `ratio` of all matrices' parameters, by marginal loss: every parameter goes to the matrix whose
 * outputs win most by it, in parts of ‖W X‖² (or ‖W‖²), so that matrices with large outputs do not count more. Undefined for a
 * matrix that stays as it is.
 *
 * The choices of one matrix are ranks up to break-even, and the matrix itself, which loses nothing. Of them only the lower convex
 * hull of loss over parameters is ever best, and along it gains per parameter fall: taking the largest first is optimal up to the
 * last step. Of what that step leaves over, ranks behind the hull get their share.
 */
export function budgetRanks(spectra: readonly Spectrum[], ratio: number): (number | undefined)[] {
  const whole = spectra.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  // Rank 1 of each is the least there is.
  const ranks = spectra.map((each): number | undefined =>
    largestUsefulRank(each) >= 1 && each.energies.length > 0 ? 1 : undefined,
  );
  let left = Math.floor((1 - ratio) * whole);
  ranks.forEach((rank, i) => {
    const { rows, columns } = spectra[i]!;
    left -= rank === undefined ? rows * columns : factorParameters(spectra[i]!, rank);
  });
  if (left < 0) throw tooMuch(ratio, whole, left);
  const steps = spectra.flatMap((spectrum, matrix) => (ranks[matrix] === undefined ? [] : hullSteps(spectrum, matrix)));
  steps.sort((a, b) => b.gain / b.parameters - a.gain / a.parameters || a.matrix - b.matrix || a.rank - b.rank);
  const stopped = new Set<number>();
  for (const { matrix, rank, parameters } of steps) {
    // Steps of one matrix come in order: the next one stands on this.
    if (stopped.has(matrix) || parameters > left) stopped.add(matrix);
    else {
      left -= parameters;
      ranks[matrix] = rank > largestUsefulRank(spectra[matrix]!) ? undefined : rank;
    }
  }
  return fillUp(spectra, ranks, left);
}

/** From rank 1 up the hull to the matrix itself. Energies fall, so ranks are convex; the last step leaves them by a tangent. */
function hullSteps(spectrum: Spectrum, matrix: number): Step[] {
  const { rows, columns, energies, total } = spectrum;
  const share = (energy: number) => (total === 0 ? 0 : energy / total);
  const perRank = rows + columns;
  const last = tangentRank(spectrum);
  const steps: Step[] = [];
  for (let rank = 2; rank <= last; rank += 1) {
    steps.push({ matrix, rank, parameters: perRank, gain: share(energies[rank - 1]!) });
  }
  steps.push({
    matrix,
    rank: Math.min(rows, columns),
    parameters: rows * columns - factorParameters(spectrum, last),
    gain: share(lossAt(spectrum, last)),
  });
  // What wins nothing is not bought, however much room there is.
  return steps.filter(({ gain }) => gain > 0);
}

/** The rank from which the matrix itself is reached with the least loss per parameter. */
function tangentRank(spectrum: Spectrum): number {
  const { rows, columns, energies } = spectrum;
  const most = Math.min(largestUsefulRank(spectrum), energies.length);
  let best = 1;
  let least = Number.POSITIVE_INFINITY;
  let loss = spectrum.total;
  for (let rank = 1; rank <= most; rank += 1) {
    loss = Math.max(0, loss - energies[rank - 1]!);
    const slope = loss / (rows * columns - factorParameters(spectrum, rank));
    if (slope < least) [best, least] = [rank, slope];
  }
  return best;
}

/** Spends what is left on further ranks, the largest gain per parameter first. */
function fillUp(spectra: readonly Spectrum[], ranks: (number | undefined)[], budget: number): (number | undefined)[] {
  const filled = [...ranks];
  let left = budget;
  for (;;) {
    let best: number | undefined;
    let most = 0;
    for (const [i, { rows, columns, energies, total }] of spectra.entries()) {
      const rank = filled[i];
      if (rank === undefined || rank >= Math.min(largestUsefulRank(spectra[i]!), energies.length)) continue;
      const gain = total === 0 ? 0 : energies[rank]! / total / (rows + columns);
      if (rows + columns <= left && gain > most) [best, most] = [i, gain];
    }
    if (best === undefined) return filled;
    filled[best]! += 1;
    left -= spectra[best]!.rows + spectra[best]!.columns;
  }
}

function tooMuch(ratio: number, whole: number, left: number): BirdboneError {
  const least = Math.floor((1 - ratio) * whole) - left;
  const most = Math.floor(1000 * (1 - least / whole)) / 1000;
  return new BirdboneError(
    'usage',
    `Factors of rank 1 hold ${least} of ${whole} parameters, which removes ${most} of them; ${ratio} is asked for.`,
    { suggestions: [`Ask for at most that: --ratio ${most}`] },
  );
}
