import {
  ENGINES,
  type EngineName,
  type ModelComparison,
  type ModelFigures,
  ROUND_FIGURES,
  type Round,
  type Spread,
  spreadOf,
} from './figures.js';

/**
 * The second model over the first. Figures of rounds are divided round by round, since those of one round were taken side by side;
 * `roundsOf` gives a model's rounds in an engine, undefined where it was not measured there.
 */
export function comparisonOf(
  [base, model]: readonly Omit<ModelFigures, never>[],
  roundsOf: (model: number, engine: EngineName) => readonly Round[] | undefined,
): ModelComparison {
  const [before, after] = [base!.demands, model!.demands];
  const operations = ({ productOperations, attentionOperations }: typeof before) =>
    productOperations + attentionOperations;
  const bytes = ({ weightBytes, cacheBytes }: typeof before) => weightBytes + cacheBytes;
  return {
    bytes: model!.bytes / base!.bytes,
    operations: operations(after) / operations(before),
    bytesPerToken: bytes(after) / bytes(before),
    engines: ENGINES.flatMap((engine) => {
      const [theirs, ours] = [roundsOf(0, engine), roundsOf(1, engine)];
      if (theirs === undefined || ours === undefined) return [];
      const peak = (figures: ModelFigures) => figures.engines.find((each) => each.engine === engine)!.peakBytes;
      return [{ engine, peakBytes: peak(model!) / peak(base!), ...ratiosOf(ours, theirs) }];
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
