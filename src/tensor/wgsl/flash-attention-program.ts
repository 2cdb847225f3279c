import { PLACE, workgroupJob } from './entry-point.js';
import { columnsPerLane, list, SIDE, type ValueLayout, valueLayout } from './flash-attention-values.js';
import type { Gpu } from './kernel.js';
import type { Program } from './program.js';

/** Rows of queries of one workgroup: 16 × 16 lanes, each with 4 of the rows. */
export const QUERY_ROWS = 64;
/** Wider heads would not leave a lane's part of the result in registers. */
export const WIDEST_HEAD = 256;
/** One more than the lanes of a side, so that lanes side by side meet different banks of shared memory. */
const PITCH = SIDE + 1;
/** Shared bytes that the larger tiles take. */
const LARGE_TILE_BYTES = 32768;

/** What of keys and values is in shared memory at a time. */
export interface FlashTiles {
  /** Keys scored before their values are mixed. */
  readonly keys: 32 | 64;
  /** Dimensions of queries and keys that are multiplied at a time. */
  readonly inner: 8 | 16;
  /** Values mixed at a time. */
  readonly values: 4 | 8;
  /** Leaves the inner loops loops, for a compiler that would take seconds over them unrolled. */
  readonly rolled: boolean;
}

/** The largest tiles whose shared memory the GPU has; the smaller ones take less than the 16384 bytes that every GPU has. */
export function tilesFor(width: number, { limits, software: rolled }: Pick<Gpu, 'limits' | 'software'>): FlashTiles {
  const values = width <= WIDEST_HEAD / 2 ? 8 : 4;
  return limits.maxComputeWorkgroupStorageSize >= LARGE_TILE_BYTES
    ? { keys: 64, inner: 16, values, rolled }
    : { keys: 32, inner: 8, values, rolled };
}

/**
 * Lane (x, y) scores rows 4y … 4y + 3 against keys x, x + 16, … of a tile, and holds columns of the same rows of the result
 * (x, x + 16, …, or 4x … 4x + 3, 4x + 64, … where they are vectors), unnormalised, beside each row's largest score and sum of weights so far. Vectors of four are the four rows.
 */
export function flashProgram(width: number, tiles: FlashTiles): Program {
  const { keys, inner, values, rolled } = tiles;
  const { element } = valueLayout(width);
  return {
    name: `flash-attention ${width} ${keys} ${inner} ${values}${rolled ? ' rolled' : ''}`,
    inputs: { q: 'f32', k: 'f32', v: element },
    outputs: { output: element },
    uniforms: {
      tokens: 'u32',
      group: 'u32',
      tiles: 'u32',
      workgroups: 'u32',
      window: 'u32',
      inner: 'u32',
      values: 'u32',
      scale: 'f32',
      cap: 'f32',
    },
    code: () => flashCode(width, tiles),
  };
}

function flashCode(width: number, tiles: FlashTiles): string {
  const layout = valueLayout(width);
  const shape = { ...tiles, layout, width, columns: list(columnsPerLane(width)), scores: list(tiles.keys / SIDE) };
  const { keys, inner, values, columns, scores } = shape;
  return `
    var<workgroup> queryTile: array<vec4f, ${inner * PITCH}>;
    var<workgroup> keyTile: array<vec${scores.length}f, ${inner * PITCH}>;
    var<workgroup> weights: array<vec4f, ${keys * PITCH}>;
    var<workgroup> valueTile: array<${layout.element}, ${values * layout.pitch}>;
    const HIDDEN = vec4f(-1e30);

    @compute @workgroup_size(${SIDE}, ${SIDE})
    fn main(${PLACE}) {
      ${workgroupJob('number', 'u.workgroups')}
      ${rowsAndKeys(width)}
      var largest = HIDDEN;
      var total = vec4f();
      ${columns.map((c) => `var mixed${c} = vec4f();`).join(' ')}
      for (var start = firstKey; start <= lastToken; start += ${keys}u) {
        ${scoreKeys(shape)}
        ${weighKeys(shape)}
        ${mixValues(shape)}
      }
      ${columns.map((c) => `let result${c} = mixed${c} / total;`).join(' ')}
      for (var i = 0u; i < 4u; i++) {
        if (firstRow + 4u * y + i >= rows) { return; }
        ${layout.store}
      }
    }`;
}

/** What the pieces of the code are written for. */
interface FlashShape extends FlashTiles {
  readonly width: number;
  readonly layout: ValueLayout;
  /** 0, 1, …: the columns of the result of one lane. */
  readonly columns: readonly number[];
  /** 0, 1, …: the keys of a tile that one lane scores. */
  readonly scores: readonly number[];
}

/** A workgroup's queries, a lane's four of them, and the keys that they see. */
function rowsAndKeys(width: number): string {
  return `
    let x = lane % ${SIDE}u;
    let y = lane / ${SIDE}u;
    let keyHead = number / u.tiles;
    // The last rows see most keys: they begin first, so that no workgroup is left working alone.
    let firstRow = (u.tiles - 1u - number % u.tiles) * ${QUERY_ROWS}u;
    let rows = u.group * u.tokens;
    let row = min(vec4u(firstRow + 4u * y) + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u));
    let token = row / u.group;
    let place = ((keyHead * u.group + row % u.group) * u.tokens + token) * ${width}u;
    let keyStart = keyHead * u.tokens;
    let lastToken = min(firstRow + ${QUERY_ROWS - 1}u, rows - 1u) / u.group;
    let firstToken = firstRow / u.group;
    let firstKey = select(0u, firstToken + 1u - u.window, firstToken + 1u > u.window);`;
}

/** A lane's scores against its keys of the tile, hidden where its rows do not see them. */
function scoreKeys({ width, inner, scores, rolled }: FlashShape): string {
  return `
    ${scores.map((s) => `var score${s} = vec4f();`).join(' ')}
    for (var first = 0u; first < ${width}u; first += ${inner}u) {
      workgroupBarrier();
      for (var i = lane; i < ${inner * SIDE}u; i += ${SIDE * SIDE}u) {
        ${loadInner(width, inner, scores)}
      }
      workgroupBarrier();
      for (var c = 0u; c < ${rolled ? 'u.inner' : `${inner}u`}; c++) {
        let query = queryTile[c * ${PITCH}u + y];
        let key = keyTile[c * ${PITCH}u + x];
        ${scores.map((s) => `score${s} += query * key[${s}];`).join(' ')}
      }
    }
    ${scores.map((s) => maskScore(s)).join('')}`;
}

/** Scores become weights under the rows' largest so far; what was mixed before is brought under it too. */
function weighKeys({ keys, columns, scores }: FlashShape): string {
  return `
    workgroupBarrier();
    let before = largest;
    for (var key = 0u; key < ${keys}u; key++) { largest = max(largest, weights[key * ${PITCH}u + y]); }
    workgroupBarrier();
    // A hidden key weighs nothing, also where all that a row has met so far are hidden.
    ${scores
      .map((s) => `weights[(x + ${s * SIDE}u) * ${PITCH}u + y] = select(vec4f(), exp(score${s} - largest), seen${s});`)
      .join('\n')}
    let kept = exp(before - largest);
    total *= kept;
    ${columns.map((c) => `mixed${c} *= kept;`).join(' ')}`;
}

/** Adds the tile's values to the rows' results, each by its weight. */
function mixValues({ keys, values, rolled, layout: { element, pitch, load, mix } }: FlashShape): string {
  return `
    for (var first = 0u; first < ${keys}u; first += ${values}u) {
      workgroupBarrier();
      for (var i = lane; i < ${values * pitch}u; i += ${SIDE * SIDE}u) {
        let key = start + first + i / ${pitch}u;
        let column = i % ${pitch}u;
        var value = ${element}();
        ${load}
        valueTile[i] = value;
      }
      workgroupBarrier();
      for (var i = 0u; i < ${rolled ? 'u.values' : `${values}u`}; i++) {
        let weight = weights[(first + i) * ${PITCH}u + y];
        total += weight;
        ${mix}
      }
    }`;
}

/** Lane i takes dimension i % inner: of four rows of queries, and of the tile's keys that lane x = i / inner will score. */
function loadInner(width: number, inner: number, scores: readonly number[]): string {
  return `
    let column = first + i % ${inner}u;
    let slot = (i % ${inner}u) * ${PITCH}u + i / ${inner}u;
    if (column < ${width}u) {
      let loaded = min(vec4u(firstRow + 4u * (i / ${inner}u)) + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u));
      let origin = ((keyHead * u.group + loaded % u.group) * u.tokens + loaded / u.group) * ${width}u + column;
      queryTile[slot] = vec4f(q[origin.x], q[origin.y], q[origin.z], q[origin.w]);
      ${scores.map((s) => `let key${s} = min(start + i / ${inner}u + ${s * SIDE}u, u.tokens - 1u);`).join('\n')}
      keyTile[slot] = vec${scores.length}f(${scores.map((s) => `k[(keyStart + key${s}) * ${width}u + column]`).join(', ')});
    } else {
      queryTile[slot] = vec4f();
      keyTile[slot] = vec${scores.length}f();
    }`;
}

/** Scales, caps and hides a lane's scores against one key, and puts them where every lane of the rows finds them. */
function maskScore(s: number): string {
  return `
    let key${s} = start + x + ${s * SIDE}u;
    let seen${s} = (vec4u(key${s}) <= token) & (token - min(token, vec4u(key${s})) < vec4u(u.window));
    score${s} *= u.scale;
    // Beyond ±10 a tanh is ±1 in f32; some GPUs make NaN of much larger arguments.
    if (u.cap > 0.0) { score${s} = u.cap * tanh(clamp(score${s} / u.cap, vec4f(-10.0), vec4f(10.0))); }
    score${s} = select(HIDDEN, score${s}, seen${s});
    weights[(x + ${s * SIDE}u) * ${PITCH}u + y] = score${s};`;
}
