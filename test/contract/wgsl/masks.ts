import { type KernelCase, type KernelCases, random } from './kernel-case.js';

type Kind = 'spread' | 'tied' | 'denormal';

/** Scores of 0 and more, −0 among them: all different, or of five values only, or too small to be normal numbers. */
function scoresOf(rows: number, columns: number, kind: Kind): Float32Array {
  const scores = random([rows, columns], rows * columns).data.map(Math.abs);
  const values: Record<Kind, (score: number) => number> = {
    spread: (score) => score,
    tied: (score) => Math.floor(score * 5) / 5,
    denormal: (score) => score * 1e-40,
  };
  return scores.map((score, i) => (i % 11 === 3 ? -0 : values[kind](score)));
}

interface Grouped {
  readonly rows: number;
  readonly columns: number;
  readonly group: number;
  readonly kept: number;
  readonly kind?: Kind;
}

/** The scores of each group in the order in which they go: a plain sort, of equals the first before the later. */
function* groupsOf({ rows, columns, group }: Grouped, scores: Float32Array) {
  for (let row = 0; row < rows; row += 1) {
    for (let start = 0; start < columns; start += group) {
      const length = Math.min(group, columns - start);
      const first = row * columns + start;
      const order = Array.from({ length }, (_, i) => i).sort(
        (a, b) => scores[first + a]! - scores[first + b]! || a - b,
      );
      yield { first, length, order };
    }
  }
}

function maskOf(of: Grouped, scores: Float32Array) {
  const words = new Int32Array(Math.ceil(scores.length / 32));
  for (let i = 0; i < scores.length; i += 1) words[i >>> 5]! |= 1 << (i & 31);
  for (const { first, length, order } of groupsOf(of, scores)) {
    for (const gone of order.slice(0, Math.max(0, length - of.kept))) {
      const i = first + gone;
      words[i >>> 5]! &= ~(1 << (i & 31));
    }
  }
  return [{ data: words, shape: [words.length], tolerance: 0 }];
}

/** The bits of the last score that goes of each group, and the column behind it. */
function boundariesOf(of: Grouped, scores: Float32Array) {
  const data = [...groupsOf(of, scores)].flatMap(({ first, length, order }) => {
    const last = order[length - of.kept - 1];
    return last === undefined ? [0, 0] : [bitsOf(Math.abs(scores[first + last]!)), last + 1];
  });
  return [{ data, shape: [data.length / 2, 2], tolerance: 0 }];
}

function bitsOf(value: number): number {
  return new Int32Array(Float32Array.of(value).buffer)[0]!;
}

const nameOf = ({ rows, columns, group, kept, kind }: Grouped) =>
  `${kept} of ${group}, ${kind ?? 'spread'} [${rows}, ${columns}]`;

function boundaries(of: Grouped): KernelCase {
  const data = scoresOf(of.rows, of.columns, of.kind ?? 'spread');
  return {
    name: nameOf(of),
    inputs: { scores: { data, shape: [of.rows, of.columns] } },
    attributes: { group: of.group, kept: of.kept },
    expected: () => boundariesOf(of, data),
  };
}

export const groupBoundariesCases: KernelCases = {
  operation: 'birdbone.GroupBoundaries',
  cases: [
    boundaries({ rows: 1, columns: 1, group: 1, kept: 0 }),
    boundaries({ rows: 3, columns: 7, group: 7, kept: 4, kind: 'tied' }),
    boundaries({ rows: 5, columns: 130, group: 130, kept: 0 }),
    boundaries({ rows: 2, columns: 700, group: 700, kept: 301, kind: 'tied' }),
    boundaries({ rows: 2, columns: 300, group: 300, kept: 150, kind: 'denormal' }),
    boundaries({ rows: 2, columns: 101, group: 40, kept: 30 }),
  ],
};

function mask(of: Grouped, withBoundaries: boolean): KernelCase {
  const data = scoresOf(of.rows, of.columns, of.kind ?? 'spread');
  const [found] = boundariesOf(of, data);
  const bounds = { data: Int32Array.from(found!.data), shape: found!.shape };
  return {
    name: nameOf(of),
    inputs: { scores: { data, shape: [of.rows, of.columns] }, ...(withBoundaries && { boundaries: bounds }) },
    attributes: { group: of.group, kept: of.kept },
    expected: () => maskOf(of, data),
  };
}

export const boundaryMaskCases: KernelCases = {
  operation: 'birdbone.BoundaryMask',
  cases: [
    mask({ rows: 1, columns: 1, group: 1, kept: 1 }, true),
    mask({ rows: 9, columns: 257, group: 257, kept: 100, kind: 'tied' }, true),
    mask({ rows: 3, columns: 33, group: 33, kept: 0 }, true),
    mask({ rows: 4, columns: 101, group: 40, kept: 30, kind: 'denormal' }, true),
  ],
};

export const pairwiseMaskCases: KernelCases = {
  operation: 'birdbone.PairwiseMask',
  cases: [
    mask({ rows: 1, columns: 1, group: 2, kept: 1 }, false),
    mask({ rows: 8, columns: 64, group: 4, kept: 2, kind: 'tied' }, false),
    mask({ rows: 5, columns: 33, group: 5, kept: 3, kind: 'denormal' }, false),
    mask({ rows: 3, columns: 705, group: 32, kept: 9 }, false),
  ],
};

/** Numbers without a rank at these places. */
function unranked(rows: number, columns: number, places: Readonly<Record<number, number>>): KernelCase {
  const data = scoresOf(rows, columns, 'spread');
  const counts = new Int32Array(Math.ceil(data.length / 16384));
  for (const [place, value] of Object.entries(places)) {
    data[Number(place)] = value;
    counts[Math.floor(Number(place) / 16384)]! += 1;
  }
  return {
    name: `${Object.keys(places).length} in [${rows}, ${columns}]`,
    inputs: { scores: { data, shape: [rows, columns] } },
    expected: () => [{ data: counts, shape: [counts.length], tolerance: 0 }],
  };
}

export const unrankedScoresCases: KernelCases = {
  operation: 'birdbone.UnrankedScores',
  cases: [
    unranked(1, 1, {}),
    unranked(3, 7, { 20: Number.NaN }),
    unranked(130, 257, { 0: -1e-40, 16383: Number.POSITIVE_INFINITY, 16384: -1, 33409: Number.NEGATIVE_INFINITY }),
  ],
};
