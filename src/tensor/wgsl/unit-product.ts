import { PLACE, workgroupJob } from './entry-point.js';
import type { MatrixUnit } from './kernel.js';
import { bindingOf, type Operand, operandKey, quadFunction, WIDEN_FUNCTIONS } from './operand.js';
import type { Program } from './program.js';
import { type UnitTile, unitThreads } from './unit-tile.js';

/** A product on matrix units; both operands lie line by line, the right one in 16-bit floats. */
export interface UnitProduct {
  readonly unit: MatrixUnit;
  /** Lanes of a subgroup, which share a matrix. */
  readonly lanes: number;
  readonly tile: UnitTile;
  readonly left: Operand;
  readonly right: Operand;
  /**
   * How many f16 make up a value of the left operand: 1 rounds it to 11 bits; 2 keep 22 of float32's 24, at twice the work.
   */
  readonly terms: 1 | 2;
}

/** Elements between lines in workgroup memory beyond a tile's depth, against lines that start in the same bank. */
const PADDING = 8;
export const lineStride = (depth: number) => depth + PADDING;

/**
 * left [m, k] · right [n, k]ᵀ on matrix units, f16 · f16 summed in f32. Lines are scaled by powers of two (line-scales.ts), so that f16
 * neither overflows nor loses small values, and the sums scaled back; f16 weights are as they are. Workgroups: `tiles` in x and y.
 *
 * Floor: 2 · m · n · k · terms FLOP; reads the left operand n / columns times and the right one, at 2 bytes an element, m / rows times,
 * and writes m · n · 4 bytes.
 */
export function unitProduct(product: UnitProduct): Program {
  const { unit, lanes, tile, left, right, terms } = product;
  const scaled = right.format === 'bf16';
  const { rows, columns, depth, down, across } = tile;
  const sides = `${rows}x${columns}x${depth}/${down}x${across} ${unit.m}x${unit.n}x${unit.k} ${lanes}`;
  return {
    name: `unit-product ${sides} ${operandKey(left)} ${operandKey(right)} ${terms}`,
    inputs: { a: bindingOf(left), b: bindingOf(right), a_scales: 'f32', ...(scaled && { b_scales: 'f32' as const }) },
    outputs: { c: 'f32' },
    uniforms: { m: 'u32', n: 'u32', k: 'u32', tiles: 'u32' },
    enable: ['f16', 'subgroups', 'chromium_experimental_subgroup_matrix'],
    quiet: ['chromium.subgroup_matrix_uniformity'],
    code: () => codeOf(product),
  };
}

const each = <Item>(items: readonly Item[], render: (item: Item) => string): string => items.map(render).join('\n');
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

function codeOf(product: UnitProduct): string {
  const { unit, lanes, tile, left, right, terms } = product;
  const { rows, columns, depth, down, across } = tile;
  const stride = lineStride(depth);
  return /* wgsl */ `
    ${WIDEN_FUNCTIONS}
    ${quadFunction('a', left, 'u.m', 'u.k')}
    ${quadFunction('b', right, 'u.n', 'u.k')}
    var<workgroup> tile_a: array<f16, ${2 * terms * rows * stride}>;
    var<workgroup> tile_b: array<f16, ${2 * columns * stride}>;
    var<workgroup> shown: array<f32, ${down * across * unit.m * unit.n}>;

    /** Rounded to f16's 11 bits, by integers: a compiler may take f32(f16(x)) for x, and what is left of it for 0. */
    fn leading_bits(values: vec4f) -> vec4f {
      return bitcast<vec4f>((bitcast<vec4u>(values) + vec4u(0x1000u)) & vec4u(0xffffe000u));
    }

    /** 1 / scale of a power of two; NaN stays what it is. */
    fn inverse(scale: f32) -> f32 {
      let bits = bitcast<u32>(scale);
      return bitcast<f32>(select((254u << 23u) - bits, bits, bits >= 0x7f800000u));
    }

    @compute @workgroup_size(${unitThreads(tile, lanes)})
    fn main(${PLACE}) {
      ${workgroupJob('index', 'u.tiles')}
      let tile_rows = (u.m + ${rows - 1}u) / ${rows}u;
      let row_start = index % tile_rows * ${rows}u;
      let column_start = index / tile_rows * ${columns}u;
      let subgroup = lane / ${lanes}u;
      let own_row = subgroup / ${across}u * ${rows / down}u;
      let own_column = subgroup % ${across}u * ${columns / across}u;
      ${each(fragments(product), ({ name }) => `var ${name}: subgroup_matrix_result<f32, ${unit.n}, ${unit.m}>;`)}
      ${each(jobs(product, 'a'), (job) => `var next_a_${job} = vec4f();`)}
      ${each(jobs(product, 'b'), (job) => `var next_b_${job} = vec4f();`)}
      var reached = 0u;
      var buffer = 0u;
      while (true) {
        let more = reached < u.k;
        if (more) { ${fetch(product)} }
        if (reached > 0u) { ${multiplyFragments(product)} }
        if (!more) { break; }
        ${store(product)}
        workgroupBarrier();
        buffer = 1u - buffer;
        reached += ${depth}u;
      }
      ${each(fragments(product), (fragment) => show(product, fragment))}
    }`;
}

interface Fragment {
  readonly name: string;
  readonly i: number;
  readonly j: number;
}

/** The matrices of the result that one subgroup keeps. */
function fragments({ unit, tile: { rows, columns, down, across } }: UnitProduct): Fragment[] {
  return range(rows / down / unit.m).flatMap((i) =>
    range(columns / across / unit.n).map((j) => ({ name: `sum_${i}_${j}`, i, j })),
  );
}

/** Which quads of an operand's tile an invocation moves, every `threads`-th. */
function jobs({ tile, lanes }: UnitProduct, name: 'a' | 'b'): number[] {
  const quads = ((name === 'a' ? tile.rows : tile.columns) * tile.depth) / 4;
  return range(Math.ceil(quads / unitThreads(tile, lanes)));
}

/** `code` for each job of an operand, with its quad's place in the tile as `line` and `deep`. */
function perJob(product: UnitProduct, name: 'a' | 'b', code: (job: number) => string): string {
  const { tile, lanes } = product;
  const threads = unitThreads(tile, lanes);
  const quads = ((name === 'a' ? tile.rows : tile.columns) * tile.depth) / 4;
  return each(jobs(product, name), (job) => {
    const guard = (job + 1) * threads > quads ? `if (lane + ${job * threads}u < ${quads}u)` : '';
    return `${guard} {
          let quad = lane + ${job * threads}u;
          let line = quad / ${tile.depth / 4}u;
          let deep = quad % ${tile.depth / 4}u * 4u;
          ${code(job)}
        }`;
  });
}

function fetch(product: UnitProduct): string {
  const scaleB = product.right.format === 'bf16' ? ' * b_scales[min(column_start + line, u.n - 1u)]' : '';
  const scaleA = 'a_scales[min(row_start + line, u.m - 1u)]';
  return `
        ${perJob(product, 'a', (job) => `next_a_${job} = a_quad(0u, row_start + line, reached + deep) * ${scaleA};`)}
        ${perJob(product, 'b', (job) => `next_b_${job} = b_quad(0u, column_start + line, reached + deep)${scaleB};`)}`;
}

function store(product: UnitProduct): string {
  const { tile, terms } = product;
  const stride = lineStride(tile.depth);
  const four = (target: string, value: string) =>
    each(range(4), (i) => `${target.replace('INDEX', `at + ${i}u`)} = ${value}[${i}];`);
  return `
        ${perJob(
          product,
          'a',
          (job) => `
          let at = (buffer * ${terms * tile.rows}u + line) * ${stride}u + deep;
          ${terms === 1 ? '' : `let leading = leading_bits(next_a_${job});`}
          let high = vec4h(${terms === 1 ? `next_a_${job}` : 'leading'});
          ${four('tile_a[INDEX]', 'high')}
          ${terms === 1 ? '' : `let low = vec4h(next_a_${job} - leading); ${four(`tile_a[INDEX + ${tile.rows * stride}u]`, 'low')}`}`,
        )}
        ${perJob(
          product,
          'b',
          (job) => `
          let at = (buffer * ${tile.columns}u + line) * ${stride}u + deep;
          let value = vec4h(next_b_${job});
          ${four('tile_b[INDEX]', 'value')}`,
        )}`;
}

function multiplyFragments(product: UnitProduct): string {
  const { unit, tile, terms } = product;
  const stride = lineStride(tile.depth);
  const own = fragments(product);
  const [is, js] = [[...new Set(own.map(({ i }) => i))], [...new Set(own.map(({ j }) => j))]];
  const left = `subgroup_matrix_left<f16, ${unit.k}, ${unit.m}>`;
  const right = `subgroup_matrix_right<f16, ${unit.n}, ${unit.k}>`;
  return `
        for (var deep = 0u; deep < ${tile.depth}u; deep += ${unit.k}u) {
          let at_b = ((1u - buffer) * ${tile.columns}u + own_column) * ${stride}u + deep;
          ${each(js, (j) => `let b_${j} = subgroupMatrixLoad<${right}, col_major>(&tile_b, at_b + ${j * unit.n * stride}u, ${stride}u);`)}
          ${each(
            range(terms),
            (term) => `{
          let at_a = ((1u - buffer) * ${terms * tile.rows}u + ${term * tile.rows}u + own_row) * ${stride}u + deep;
          ${each(is, (i) => `let a_${i} = subgroupMatrixLoad<${left}, row_major>(&tile_a, at_a + ${i * unit.m * stride}u, ${stride}u);`)}
          ${each(own, ({ name, i, j }) => `${name} = subgroupMatrixMultiplyAccumulate(a_${i}, b_${j}, ${name});`)}
          }`,
          )}
        }`;
}

/** Writes one matrix of every subgroup's through workgroup memory, as only that has a place for each of its elements. */
function show({ unit, lanes, right }: UnitProduct, { name, i, j }: Fragment): string {
  const size = unit.m * unit.n;
  const scaleB = right.format === 'bf16' ? ' * inverse(b_scales[column])' : '';
  return `
      subgroupMatrixStore<row_major>(&shown, subgroup * ${size}u, ${name}, ${unit.n}u);
      workgroupBarrier();
      for (var element = lane % ${lanes}u; element < ${size}u; element += ${lanes}u) {
        let row = row_start + own_row + ${i * unit.m}u + element / ${unit.n}u;
        let column = column_start + own_column + ${j * unit.n}u + element % ${unit.n}u;
        if (row < u.m && column < u.n) {
          c[row * u.n + column] = shown[subgroup * ${size}u + element] * inverse(a_scales[row])${scaleB};
        }
      }
      workgroupBarrier();`;
}
