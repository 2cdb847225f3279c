import { PLACE, workgroupJob } from './entry-point.js';
import { bindingOf, type Operand, operandKey, quadFunction, WIDEN_FUNCTIONS } from './operand.js';
import { type ProductTile, threadsOf } from './product-tile.js';
import type { Program } from './program.js';

/** A product on f32 arithmetic: what its operands and its result are like. */
export interface TiledProduct {
  readonly tile: ProductTile;
  readonly left: Operand;
  readonly right: Operand;
  /** Whether the result's rows are whole vectors. */
  readonly alignedResult: boolean;
  /** Leaves the inner loop a loop, for a compiler that would take seconds over it unrolled. */
  readonly rolled?: boolean;
  /**
   * Of a symmetric product, which elements to write: those of the tiles on and above the diagonal, or both triangles though only
   * one is computed. The tile must be square. All of any other.
   */
  readonly triangle?: 'upper' | 'mirrored';
}

/** Row tiles whose column tiles are computed side by side, so that what they read is still in the cache. */
const ROWS_TOGETHER = 8;

/**
 * left · right in f32, [m, k] · [k, n] for each of a batch: tiles in workgroup memory, two of each so that the next is fetched while
 * one is used, and a block of the result in the registers of each invocation. Workgroups: `tiles` in x and y, the batch in z.
 *
 * Floor: 2 · m · n · k FLOP a batch; reads each operand once for every tile across it, m · k · n / columns + n · k · m / rows elements,
 * and writes m · n · 4 bytes. 128x128 tiles do 32 FLOP a byte read from memory or cache.
 */
export function tiledProduct(product: TiledProduct): Program {
  const { tile, left, right, alignedResult, triangle, rolled = false } = product;
  const { rows, columns, depth, threadRows, threadColumns } = tile;
  const sides = `${rows}x${columns}x${depth} ${threadRows}x${threadColumns}`;
  return {
    name: `product ${sides} ${operandKey(left)} ${operandKey(right)} ${alignedResult ? 4 : 1} ${triangle ?? ''}${rolled ? ' rolled' : ''}`,
    inputs: { a: bindingOf(left), b: bindingOf(right) },
    outputs: { c: alignedResult ? 'vec4f' : 'f32' },
    uniforms: { m: 'u32', n: 'u32', k: 'u32', a_step: 'u32', b_step: 'u32', tiles: 'u32', depth: 'u32' },
    code: () => codeOf(product),
  };
}

function codeOf(product: TiledProduct): string {
  const { tile, left, right } = product;
  const { depth, rows, columns } = tile;
  const threads = threadsOf(tile);
  return /* wgsl */ `
    ${WIDEN_FUNCTIONS}
    ${quadFunction('a', left, 'u.m', 'u.k')}
    ${quadFunction('b', right, 'u.n', 'u.k')}
    ${putFunction(product)}
    var<workgroup> tile_a: array<vec4f, ${2 * depth * strideOf(rows)}>;
    var<workgroup> tile_b: array<vec4f, ${2 * depth * strideOf(columns)}>;

    @compute @workgroup_size(${threads})
    fn main(${PLACE}) {
      ${workgroupJob('index', 'u.tiles')}
      ${placeOf(product)}
      let row_start = tile_row * ${rows}u;
      let column_start = tile_column * ${columns}u;
      let a_base = group.z * u.a_step;
      let b_base = group.z * u.b_step;
      let across = lane % ${columns / tile.threadColumns}u;
      let down = lane / ${columns / tile.threadColumns}u;
      ${each(sums(tile), (sum) => `var ${sum} = vec4f();`)}
      ${each(jobsOf(product), ({ job }) => `${each([0, 1, 2, 3], (i) => `var next_${job}_${i} = vec4f();`)}`)}
      var reached = 0u;
      var buffer = 0u;
      while (true) {
        let more = reached < u.k;
        if (more) { ${fetch(product)} }
        if (reached > 0u) { ${multiply(product)} }
        if (!more) { break; }
        ${store(product)}
        workgroupBarrier();
        buffer = 1u - buffer;
        reached += ${depth}u;
      }
      ${writeOut(product)}
    }`;
}

const each = <Item>(items: readonly Item[], render: (item: Item) => string): string => items.map(render).join('\n');
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

/** Vectors from one depth of a tile to the next: one more than it has, so that neighbours in depth are not in one memory bank. */
const strideOf = (side: number) => side / 4 + 1;

const sums = ({ threadRows, threadColumns }: ProductTile) =>
  range(threadRows).flatMap((i) => range(threadColumns / 4).map((q) => `sum_${i}_${q}`));

/** Sets `tile_row` and `tile_column` of the index-th tile. */
function placeOf({ tile, triangle }: TiledProduct): string {
  if (triangle !== undefined) {
    // The tiles on and above the diagonal, column by column: column j starts at j (j + 1) / 2.
    return `
      var tile_column = u32((sqrt(8.0 * f32(index) + 1.0) - 1.0) * 0.5);
      while (tile_column * (tile_column + 1u) / 2u > index) { tile_column--; }
      while ((tile_column + 1u) * (tile_column + 2u) / 2u <= index) { tile_column++; }
      let tile_row = index - tile_column * (tile_column + 1u) / 2u;`;
  }
  return `
      let tile_rows = (u.m + ${tile.rows - 1}u) / ${tile.rows}u;
      let tile_columns = (u.n + ${tile.columns - 1}u) / ${tile.columns}u;
      let band = index / (${ROWS_TOGETHER}u * tile_columns);
      let inside = index % (${ROWS_TOGETHER}u * tile_columns);
      let band_rows = min(${ROWS_TOGETHER}u, tile_rows - band * ${ROWS_TOGETHER}u);
      let tile_row = band * ${ROWS_TOGETHER}u + inside % band_rows;
      let tile_column = inside / band_rows;`;
}

interface Job {
  /** Which of an invocation's jobs. */
  readonly job: number;
  /** Operands that some invocation fetches in this job, and how many blocks of 4x4 came before theirs. */
  readonly parts: readonly { readonly name: 'a' | 'b'; readonly before: number; readonly blocks: number }[];
}

/** Blocks of 4x4 of both operands' tiles, dealt out to the invocations. */
function jobsOf({ tile }: TiledProduct): Job[] {
  const threads = threadsOf(tile);
  const blocks = { a: (tile.rows * tile.depth) / 16, b: (tile.columns * tile.depth) / 16 };
  const places = [
    { name: 'a' as const, before: 0, blocks: blocks.a },
    { name: 'b' as const, before: blocks.a, blocks: blocks.b },
  ];
  return range(Math.ceil((blocks.a + blocks.b) / threads)).map((job) => {
    const [first, end] = [job * threads, (job + 1) * threads];
    return { job, parts: places.filter(({ before, blocks }) => before < end && before + blocks > first) };
  });
}

/** `code` for the operand that this invocation has in each of its jobs, with the block's number as `block`. */
function perJob(product: TiledProduct, code: (name: 'a' | 'b', job: number) => string): string {
  const threads = threadsOf(product.tile);
  return each(jobsOf(product), ({ job, parts }) => {
    const inner = parts.map(({ name, before, blocks }) => {
      const place = `lane + ${job * threads}u`;
      const own = [
        ...(before > job * threads ? [`${place} >= ${before}u`] : []),
        ...(before + blocks < (job + 1) * threads ? [`${place} < ${before + blocks}u`] : []),
      ];
      const guard = own.length === 0 ? '' : `if (${own.join(' && ')})`;
      return `${guard} { let block = ${place} - ${before}u; ${code(name, job)} }`;
    });
    return inner.join('\n');
  });
}

/** Sets `line` and `deep`, where a block of an operand's tile starts, such that neighbours fetch what lies side by side. */
function blockPlace({ tile, left, right }: TiledProduct, name: 'a' | 'b'): string {
  const quads = (name === 'a' ? tile.rows : tile.columns) / 4;
  const byLine = (name === 'a' ? left : right).order === 'line-by-line';
  return byLine
    ? `let line = block / ${tile.depth / 4}u * 4u; let deep = block % ${tile.depth / 4}u * 4u;`
    : `let line = block % ${quads}u * 4u; let deep = block / ${quads}u * 4u;`;
}

/** Reads the blocks from depth `reached` on into registers. */
function fetch(product: TiledProduct): string {
  return perJob(product, (name, job) => {
    const byLine = (name === 'a' ? product.left : product.right).order === 'line-by-line';
    const start = name === 'a' ? 'row_start' : 'column_start';
    const reads = range(4).map((i) => {
      const [line, deep] = byLine ? [`line + ${i}u`, 'deep'] : ['line', `deep + ${i}u`];
      return `next_${job}_${i} = ${name}_quad(${name}_base, ${start} + ${line}, reached + ${deep});`;
    });
    return `${blockPlace(product, name)} ${reads.join('\n')}`;
  });
}

/** Writes the blocks from registers into a buffer, lines side by side for each depth. */
function store(product: TiledProduct): string {
  const { depth, rows, columns } = product.tile;
  return perJob(product, (name, job) => {
    const byLine = (name === 'a' ? product.left : product.right).order === 'line-by-line';
    const stride = strideOf(name === 'a' ? rows : columns);
    const writes = range(4).map((i) => {
      const lines = range(4).map((line) => `next_${job}_${line}[${i}]`);
      const value = byLine ? `vec4f(${lines.join(', ')})` : `next_${job}_${i}`;
      return `tile_${name}[(buffer * ${depth}u + deep + ${i}u) * ${stride}u + line / 4u] = ${value};`;
    });
    return `${blockPlace(product, name)} ${writes.join('\n')}`;
  });
}

/** Adds the products of the buffer that was filled last to the sums. Neighbours read vectors side by side, so that no two want one bank. */
function multiply({ tile, rolled = false }: TiledProduct): string {
  const { rows, columns, depth, threadRows, threadColumns } = tile;
  const [quadRows, quadColumns] = [range(threadRows / 4), range(threadColumns / 4)];
  return `
        for (var deep = 0u; deep < ${rolled ? 'u.depth' : `${depth}u`}; deep++) {
          let at_a = ((1u - buffer) * ${depth}u + deep) * ${strideOf(rows)}u + down;
          let at_b = ((1u - buffer) * ${depth}u + deep) * ${strideOf(columns)}u + across;
          ${each(quadRows, (p) => `let a_${p} = tile_a[at_a + ${(p * rows) / threadRows}u];`)}
          ${each(quadColumns, (q) => `let b_${q} = tile_b[at_b + ${(q * columns) / threadColumns}u];`)}
          ${each(range(threadRows), (i) =>
            each(
              quadColumns,
              (q) => `sum_${i}_${q} = fma(vec4f(a_${Math.floor(i / 4)}[${i % 4}]), b_${q}, sum_${i}_${q});`,
            ),
          )}
        }`;
}

/** `fn put(base, row, column, values)`: four neighbours of a row, those of them that the result has. */
function putFunction({ alignedResult }: TiledProduct): string {
  const body = alignedResult
    ? 'c[(base + row * u.n + column) / 4u] = values;'
    : `
      let start = base + row * u.n + column;
      for (var i = 0u; i < min(4u, u.n - column); i++) { c[start + i] = values[i]; }`;
  return `
    fn put(base: u32, row: u32, column: u32, values: vec4f) {
      if (row >= u.m || column >= u.n) { return; }
      ${body}
    }`;
}

function writeOut({ tile, triangle }: TiledProduct): string {
  const { rows, columns, threadRows, threadColumns } = tile;
  const blocks = range(threadRows / 4).flatMap((p) => range(threadColumns / 4).map((q) => ({ p, q })));
  const place = ({ p, q }: { readonly p: number; readonly q: number }) => `
      {
        let row = row_start + (down + ${(p * rows) / threadRows}u) * 4u;
        let column = column_start + (across + ${(q * columns) / threadColumns}u) * 4u;`;
  const straight = each(
    blocks,
    ({ p, q }) =>
      `${place({ p, q })} ${each(range(4), (i) => `put(base, row + ${i}u, column, sum_${4 * p + i}_${q});`)} }`,
  );
  const turned = each(blocks, ({ p, q }) => {
    const rowOf = (i: number) => `vec4f(${range(4).map((j) => `sum_${4 * p + j}_${q}[${i}]`)})`;
    return `${place({ p, q })} ${each(range(4), (i) => `put(base, column + ${i}u, row, ${rowOf(i)});`)} }`;
  });
  return `
      let base = group.z * u.m * u.n;
      ${straight}
      ${triangle === 'mirrored' ? `if (tile_row != tile_column) { ${turned} }` : ''}`;
}
