import {
  ENGINES,
  type ModelComparison,
  type ModelFigures,
  ROUND_FIGURES,
  type Round,
  type Spread,
  spreadOf,
} from './figures.js';

/** The model over the base. Figures of rounds are divided round by round, since those of one round were taken side by side. */
export function comparisonOf(base: ModelFigures, model: ModelFigures): ModelComparison {
  const [before, after] = [base.demands, model.demands];
  const operations = ({ productOperations, attentionOperations }: typeof before) =>
    productOperations + attentionOperations;
  const bytes = ({ weightBytes, cacheBytes }: typeof before) => weightBytes + cacheBytes;
  return {
    bytes: model.bytes / base.bytes,
    operations: operations(after) / operations(before),
    bytesPerToken: bytes(after) / bytes(before),
    engines: ENGINES.flatMap((engine) => {
      const [theirs, ours] = [base, model].map(({ engines }) => engines.find((each) => each.engine === engine));
      if (theirs === undefined || ours === undefined) return [];
      const peakBytes = ours.peakBytes / theirs.peakBytes;
      return [{ engine, peakBytes, ...ratiosOf(ours.rounds, theirs.rounds) }];
    }),
  };
}

function ratiosOf(ours: readonly Round[], theirs: readonly Round[]): { [figure in keyof Round]?: Spread } {
  const figures = Object.keys(ROUND_FIGURES) as (keyof Round)[];
  return Object.fromEntries(
    figures.flatMap((figure) => {
      const ratios = ours.flatMap((round, i) => {
        const [mine, other] = [round[figure], theirs[i]?.[figure]];
        return mine === undefined || other === undefined ? [] : [mine / other];
      });
      return ratios.length === 0 ? [] : [[figure, spreadOf(ratios)]];
    }),
  );
}
