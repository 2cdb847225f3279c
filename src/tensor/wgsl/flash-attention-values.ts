/** Lanes side by side that share rows of queries. */
export const SIDE = 16;
/** What a side of lanes loads and stores as vectors of four. */
const VECTOR_COLUMNS = 4 * SIDE;

/**
 * How values come from memory into shared memory, from there into a lane's columns of the result (`mixed0`, `mixed1`, …, each four
 * rows), and those back to memory: one column at a time, or four where the width is whole vectors for a side of lanes.
 */
export interface ValueLayout {
  /** Of the values, the result and the values' tile. */
  readonly element: 'f32' | 'vec4f';
  /** Elements of one key's values in the tile. */
  readonly pitch: number;
  /** What one key's values are in memory as elements, at `key`, and at `column` of the tile. */
  readonly load: string;
  /** Adds `weight` times the values of the tile's line `i`. */
  readonly mix: string;
  /** Writes row `i` of a lane's four from `result0`, `result1`, … */
  readonly store: string;
}

export function valueLayout(width: number): ValueLayout {
  return width % VECTOR_COLUMNS === 0 ? vectors(width) : columns(width);
}

/** How many columns of the result one lane holds. */
export function columnsPerLane(width: number): number {
  return Math.ceil(width / SIDE);
}

/** A lane has columns x, x + 16, … */
function columns(width: number): ValueLayout {
  const held = list(columnsPerLane(width));
  const pitch = held.length * SIDE;
  return {
    element: 'f32',
    pitch,
    load: `if (key < u.tokens && column < ${width}u) { value = v[(keyStart + key) * ${width}u + column]; }`,
    mix: held.map((c) => `mixed${c} += weight * valueTile[i * ${pitch}u + x + ${c * SIDE}u];`).join('\n'),
    store: held
      .map((c) => `if (x + ${c * SIDE}u < ${width}u) { output[place[i] + x + ${c * SIDE}u] = result${c}[i]; }`)
      .join('\n'),
  };
}

/** A lane has columns 4x … 4x + 3, those 64 behind them, …: a quarter of the loads from shared memory. */
function vectors(width: number): ValueLayout {
  const held = list(width / VECTOR_COLUMNS);
  const pitch = width / 4;
  return {
    element: 'vec4f',
    pitch,
    load: `if (key < u.tokens) { value = v[(keyStart + key) * ${pitch}u + column]; }`,
    mix: held
      .map((g) => {
        const load = `let value${g} = valueTile[i * ${pitch}u + x + ${g * SIDE}u];`;
        return [load, ...list(4).map((j) => `mixed${4 * g + j} += weight * value${g}[${j}];`)].join(' ');
      })
      .join('\n'),
    store: held
      .map((g) => {
        const four = list(4).map((j) => `result${4 * g + j}[i]`);
        return `output[place[i] / 4u + x + ${g * SIDE}u] = vec4f(${four.join(', ')});`;
      })
      .join('\n'),
  };
}

/** 0, 1, … */
export function list(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
