import { PLACE, workgroupJob } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';
import { loadWidth } from './row-reduction.js';

const LANES = 256;

/**
 * `logitStatistics`, one workgroup a row: softmax and cross-entropy of a row in one pass over it, with a running maximum to which
 * the sum is rescaled. Parts of a vocabulary are joined on the host (ops/next-token-tally.ts).
 *
 * Floor: 4·n·v bytes moved (each logit read once) and 3·n·v operations beside as many exponentials, so that memory decides.
 *
 * Source: Milakov & Gimelshein 2018, "Online normalizer calculation for softmax".
 */
export const logitStatisticsKernel: WgslKernel = {
  operation: 'birdbone.LogitStatistics',
  run({ inputs }, gpu) {
    const { logits, targets } = inputs as Record<'logits' | 'targets', (typeof inputs)[string]>;
    const [rows, columns] = logits.shape as [number, number];
    const output = gpu.create([rows, 4]);
    gpu.run(statistics[loadWidth(columns)], {
      inputs: { logits, targets },
      outputs: { output },
      uniforms: { rows, columns },
      workgroups: foldWorkgroups(rows, gpu.limits),
    });
    return output;
  },
};

/**
 * `logitDivergence`, one workgroup a row, in one pass like `logitStatistics`.
 *
 * Floor: 8·n·v bytes moved (both logits read once) and 6·n·v operations beside n·v exponentials, so that memory decides.
 */
export const logitDivergenceKernel: WgslKernel = {
  operation: 'birdbone.LogitDivergence',
  run({ inputs }, gpu) {
    const { base, now } = inputs as Record<'base' | 'now', (typeof inputs)[string]>;
    const [rows, columns] = base.shape as [number, number];
    const output = gpu.create([rows]);
    gpu.run(divergence[loadWidth(columns)], {
      inputs: { base, now },
      outputs: { output },
      uniforms: { rows, columns },
      workgroups: foldWorkgroups(rows, gpu.limits),
    });
    return output;
  },
};

/** The smallest number of f32: no logit is below it. WGSL leaves −∞ undefined. */
const LOWEST = '-3.4028234e38';

const statistics = bothWidths((width) => ({
  name: `logit-statistics ${width}`,
  inputs: { logits: elementOf(width), targets: 'i32' },
  outputs: { output: 'vec4f' },
  uniforms: { rows: 'u32', columns: 'u32' },
  code: () => `
    struct Part { largest: f32, sum: f32, at: u32 }
    const NOTHING = Part(${LOWEST}, 0.0, 0xffffffffu);
    fn taking(part: Part, logit: f32, at: u32) -> Part {
      if (logit > part.largest || part.at == 0xffffffffu) {
        return Part(logit, part.sum * exp(part.largest - logit) + 1.0, at);
      }
      return Part(part.largest, part.sum + exp(logit - part.largest), part.at);
    }
    // Of equal logits the one with the lower index leads.
    fn joined(a: Part, b: Part) -> Part {
      let leads = a.largest > b.largest || (a.largest == b.largest && a.at <= b.at);
      let largest = select(b.largest, a.largest, leads);
      let sum = a.sum * exp(a.largest - largest) + b.sum * exp(b.largest - largest);
      return Part(largest, sum, select(b.at, a.at, leads));
    }
    ${perRow({
      width,
      take: (i) => `part = taking(part, ${load('logits', width, i)}, column + ${i}u);`,
      store: `
        let wanted = row * u.columns + u32(targets[row]);
        output[row] = vec4f(all.largest, all.sum, f32(all.at), ${at('logits', width, 'wanted')});`,
    })}`,
}));

const divergence = bothWidths((width) => ({
  name: `logit-divergence ${width}`,
  inputs: { base: elementOf(width), now: elementOf(width) },
  outputs: { output: 'f32' },
  uniforms: { rows: 'u32', columns: 'u32' },
  code: () => `
    struct Part { largest: f32, sum: f32, weighted: f32 }
    const NOTHING = Part(${LOWEST}, 0.0, 0.0);
    fn taking(part: Part, logit: f32, difference: f32) -> Part {
      let largest = max(part.largest, logit);
      let kept = exp(part.largest - largest);
      let weight = exp(logit - largest);
      return Part(largest, part.sum * kept + weight, part.weighted * kept + weight * difference);
    }
    fn joined(a: Part, b: Part) -> Part {
      let largest = max(a.largest, b.largest);
      let keptA = exp(a.largest - largest);
      let keptB = exp(b.largest - largest);
      return Part(largest, a.sum * keptA + b.sum * keptB, a.weighted * keptA + b.weighted * keptB);
    }
    ${perRow({
      width,
      take: (i) => {
        const logit = load('base', width, i);
        return `part = taking(part, ${logit}, ${logit} - ${load('now', width, i)});`;
      },
      store: 'output[row] = all.weighted / all.sum;',
    })}`,
}));

/** Each lane's part of a row, from `NOTHING` by `take` for each of the elements of a load; the parts joined; the row's result. */
function perRow(steps: {
  readonly width: number;
  readonly take: (element: number) => string;
  readonly store: string;
}): string {
  const { width, take, store } = steps;
  return `
    var<workgroup> parts: array<Part, ${LANES}>;
    @compute @workgroup_size(${LANES})
    fn main(${PLACE}) {
      ${workgroupJob('row', 'u.rows')}
      let loads = u.columns / ${width}u;
      var part = NOTHING;
      for (var i = lane; i < loads; i += ${LANES}u) {
        let place = row * loads + i;
        let column = i * ${width}u;
        ${Array.from({ length: width }, (_, element) => take(element)).join('\n')}
      }
      parts[lane] = part;
      for (var half = ${LANES / 2}u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) { parts[lane] = joined(parts[lane], parts[lane + half]); }
      }
      if (lane == 0u) {
        let all = parts[0];
        ${store}
      }
    }`;
}

function load(name: string, width: number, element: number): string {
  return width === 4 ? `${name}[place][${element}]` : `${name}[place]`;
}

function at(name: string, width: number, index: string): string {
  return width === 4 ? `${name}[${index} / 4u][${index} % 4u]` : `${name}[${index}]`;
}

function elementOf(width: 1 | 4) {
  return width === 4 ? 'vec4f' : 'f32';
}

function bothWidths(program: (width: 1 | 4) => Program): Readonly<Record<1 | 4, Program>> {
  return { 1: program(1), 4: program(4) };
}
