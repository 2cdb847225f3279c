import type { Plate } from '../plates/index.js';
import { holdsIndex, KINDS_IN_BLOCKS, type PlateKind, type PlateRange, plateId } from '../plates/index.js';
import { Costs, type KindSummary, type ListedPlate, type PlateStatus } from './listing.js';
import type { Survey } from './survey.js';

/** What the list is ordered by: what goes first, first. */
export const ORDERS = ['level', 'score', 'cost', 'residual', 'id'] as const;
export type Order = (typeof ORDERS)[number];

export interface ListOptions {
  readonly block?: number;
  readonly sort?: Order;
  /** Only protected ones. */
  readonly onlyProtected?: boolean;
}

/** Where a plate is in a survey: an index into `ranked`, and one into its range. */
interface Place {
  readonly entry: number;
  readonly at: number;
}

/**
 * The plates of a survey in order. Each line is made when it is taken; only the order of all is there at once, eight bytes or so a
 * plate.
 */
export class PlateList {
  readonly #survey: Survey;
  readonly #places: readonly Place[];
  readonly #residuals: readonly (Float64Array | undefined)[];
  readonly #costs: Costs;

  constructor(survey: Survey, { block, sort = 'level', onlyProtected = false }: ListOptions = {}) {
    this.#survey = survey;
    this.#costs = new Costs(survey.graph, survey.model.checkpoint);
    this.#residuals = survey.ranked.map(({ range }) => residualsOf(survey, range));
    const keys = keysOf(survey, this.#residuals, sort);
    const places = survey.ranked.flatMap(({ range }, entry) => {
      if (block !== undefined && range.block !== block) return [];
      return Array.from({ length: range.count }, (_, at) => ({ entry, at }));
    });
    const wanted = onlyProtected ? places.filter((place) => this.#status(place) === 'protected') : places;
    if (sort !== 'id') {
      wanted.sort((a, b) => {
        for (const key of keys) {
          const difference = key(a) - key(b);
          if (difference !== 0 && !Number.isNaN(difference)) return difference;
        }
        return 0;
      });
    }
    this.#places = wanted;
  }

  get length(): number {
    return this.#places.length;
  }

  /** The lines from `start` on, at most `count`. */
  *lines(start = 0, count = Number.POSITIVE_INFINITY): Generator<ListedPlate> {
    for (const place of this.#places.slice(start, start + Math.min(count, this.#places.length)))
      yield this.#line(place);
  }

  #plate({ entry, at }: Place): Plate {
    const { range } = this.#survey.ranked[entry]!;
    const [plate] = this.#survey.graph.platesOf({ ...range, start: range.start + at, count: 1 });
    return plate!;
  }

  #status({ entry, at }: Place): PlateStatus {
    const { shed, ranked, protections } = this.#survey;
    const { range } = ranked[entry]!;
    const index = range.start + at;
    const place = KINDS_IN_BLOCKS.includes(range.kind) ? range.block : undefined;
    if (holdsIndex(shed.indices(range.kind, place), index)) return 'shed';
    return protections.isProtected(range, index) ? 'protected' : 'kept';
  }

  #line(place: Place): ListedPlate {
    const { ranked, levels, graph, protections } = this.#survey;
    const { entry, at } = place;
    const plate = this.#plate(place);
    const level = levels[entry]![at]!;
    const residual = this.#residuals[entry]?.[at];
    const partners = partnersOf(this.#survey, plate);
    return {
      ...plate,
      ...this.#costs.of(graph.slices(plate)),
      status: this.#status(place),
      score: ranked[entry]!.raw[at]!,
      relative: ranked[entry]!.scores[at]!,
      ...(Number.isFinite(level) && { level }),
      ...(residual !== undefined && !Number.isNaN(residual) && { residual }),
      ...(partners !== undefined && { foldsInto: partners }),
      protections: protections.of(plate).map(({ reason, why }) => ({ reason, why })),
    };
  }

  /** What every plate of a kind is, range by range, whatever the list leaves out. */
  statuses(kind: PlateKind): { readonly range: PlateRange; readonly statuses: readonly PlateStatus[] }[] {
    return this.#survey.ranked.flatMap(({ range }, entry) => {
      if (range.kind !== kind) return [];
      return [{ range, statuses: Array.from({ length: range.count }, (_, at) => this.#status({ entry, at })) }];
    });
  }

  /** Every kind of the survey, block by block. */
  summaries(): KindSummary[] {
    const { ranked, graph } = this.#survey;
    return ranked.map(({ range }, entry) => {
      const statuses = Array.from({ length: range.count }, (_, at) => this.#status({ entry, at }));
      const count = (status: PlateStatus) => statuses.filter((own) => own === status).length;
      const { parameters, bytes } = this.#costs.of(graph.slicesOf(range));
      return {
        kind: range.kind,
        ...(range.block !== undefined && { block: range.block }),
        plates: range.count,
        shed: count('shed'),
        protected: count('protected'),
        parameters,
        bytes,
      };
    });
  }
}

function residualsOf({ redundancies }: Survey, range: PlateRange) {
  const own = redundancies.filter((found) => found.range.kind === range.kind && found.range.block === range.block);
  if (own.length === 0) return undefined;
  const residuals = new Float64Array(range.count).fill(Number.NaN);
  for (const { range: part, redundancy } of own) residuals.set(redundancy.residuals, part.start - range.start);
  return residuals;
}

function partnersOf({ redundancies }: Survey, { kind, block, index }: Plate): string[] | undefined {
  for (const { range, redundancy } of redundancies) {
    const isOwn = range.kind === kind && range.block === block;
    const partners = isOwn ? redundancy.partners.get(index - range.start) : undefined;
    if (partners === undefined) continue;
    return partners.map((partner) => {
      return plateId({ kind, ...(block !== undefined && { block }), index: range.start + partner });
    });
  }
  return undefined;
}

/** Numbers to compare by, the first that differs decides. */
function keysOf(
  { ranked, levels }: Survey,
  residuals: readonly (Float64Array | undefined)[],
  sort: Order,
): ((place: Place) => number)[] {
  const level = ({ entry, at }: Place) => Math.min(levels[entry]![at]!, Number.MAX_VALUE);
  const score = ({ entry, at }: Place) => ranked[entry]!.scores[at]!;
  const cost = ({ entry, at }: Place) => -ranked[entry]!.parameters[at]!;
  const residual = ({ entry, at }: Place) => residuals[entry]?.[at] ?? Number.MAX_VALUE;
  const keys = { level: [level, score], score: [score], cost: [cost, level], residual: [residual, level], id: [] };
  return keys[sort];
}
