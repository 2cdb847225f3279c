import type { BlockEvidence, EvidenceKind as ForwardKind, WeightGradients } from '../evidence/index.js';
import type { Evidence, EvidenceKind, ImportanceMetric } from '../importance/index.js';
import type { LoadedLinear } from '../model/index.js';
import { type AxisSums, axisSums } from '../plates/index.js';
import { inverseDiagonal } from '../solvers/index.js';
import type { Device } from '../tensor/index.js';

/** What has been found of a block, as far as the metric needs it. */
export interface Found {
  readonly forward?: BlockEvidence;
  readonly gradients?: ReadonlyMap<string, WeightGradients>;
}

type Vector = NonNullable<Evidence['inputNorms']>;
type Weights = NonNullable<Evidence['gradient']>;

const FORWARD: Readonly<Partial<Record<EvidenceKind, ForwardKind>>> = {
  norms: 'norms',
  moments: 'moments',
  'abs-means': 'abs-means',
  'inverse-hessian': 'gram',
};

/** What a forward pass has to collect for a metric. */
export function forwardKinds({ needs }: Pick<ImportanceMetric, 'needs'>): ReadonlySet<ForwardKind> {
  return new Set(needs.flatMap((kind) => FORWARD[kind] ?? []));
}

/** What a backward pass has to collect for a metric. */
export function gradientKinds({ needs }: Pick<ImportanceMetric, 'needs'>): ReadonlySet<'gradient' | 'fisher'> {
  return new Set(needs.filter((kind) => kind === 'gradient' || kind === 'fisher'));
}

/** Scores a linear that is on the device, part by part, and returns the sums along both axes as it is stored. */
export async function scoreLinear(
  metric: ImportanceMetric,
  linear: LoadedLinear,
  found: Found,
  device: Device,
): Promise<AxisSums> {
  const { spec, weight } = linear;
  const columnwise = await columnEvidence(metric, linear, found, device);
  const scores = new Float32Array(spec.rows * spec.columns);
  try {
    let row = 0;
    for (const part of weight.parts as readonly Weights[]) {
      const rows = part.shape[0];
      const weightwise = weightEvidence(metric, found.gradients?.get(spec.weight), { row, rows }, device);
      try {
        const scored = metric.score(part, { ...columnwise, ...weightwise });
        try {
          scores.set((await device.read(scored)) as Float32Array, row * spec.columns);
        } finally {
          scored.dispose();
        }
      } finally {
        for (const tensor of Object.values(weightwise)) tensor.dispose();
      }
      row += rows;
    }
  } finally {
    // The others are the block's evidence and go with it.
    columnwise.columnAbsSums?.dispose();
    columnwise.inverseHessianDiagonal?.dispose();
  }
  return axisSums(scores, spec);
}

async function columnEvidence(
  { needs }: ImportanceMetric,
  { spec, weight }: LoadedLinear,
  { forward }: Found,
  device: Device,
): Promise<Evidence> {
  const has = (kind: EvidenceKind) => needs.includes(kind);
  const seen = forward as BlockEvidence;
  const moments = has('moments') ? seen.momentsOf(spec.input) : undefined;
  return {
    ...(has('norms') && { inputNorms: seen.normsOf(spec.input) }),
    ...(moments && { inputMeans: moments.mean, inputVariances: moments.variance }),
    ...(has('abs-means') && { inputAbsMeans: seen.absMeansOf(spec.input) }),
    ...(has('column-sums') && { columnAbsSums: await columnAbsSums(weight, device) }),
    ...(has('inverse-hessian') && { inverseHessianDiagonal: await hessianDiagonal(seen, spec, device) }),
  };
}

function weightEvidence(
  { needs }: ImportanceMetric,
  gradients: WeightGradients | undefined,
  { row, rows }: { readonly row: number; readonly rows: number },
  device: Device,
): Pick<Evidence, 'gradient' | 'fisher'> {
  const upload = (values: Float32Array | undefined) => {
    const { columns } = gradients!;
    return device.upload(values!.subarray(row * columns, (row + rows) * columns), [rows, columns]) as Weights;
  };
  return {
    ...(needs.includes('gradient') && { gradient: upload(gradients?.gradient) }),
    ...(needs.includes('fisher') && { fisher: upload(gradients?.fisher) }),
  };
}

async function columnAbsSums({ parts, columns }: LoadedLinear['weight'], device: Device): Promise<Vector> {
  const sums = new Float64Array(columns);
  for (const part of parts) {
    const values = await device.read(part);
    for (let i = 0; i < values.length; i += 1) sums[i % columns]! += Math.abs(values[i]!);
  }
  return device.upload(Float32Array.from(sums), [columns]) as Vector;
}

/** Of H = (2/T) Σ x xᵀ + damping; 0 for an input that was always zero, as `Evidence` has it. */
async function hessianDiagonal(seen: BlockEvidence, spec: LoadedLinear['spec'], device: Device): Promise<Vector> {
  const { values, columns, tokens } = seen.gramOf(spec.input);
  const inverse = await inverseDiagonal({ values, columns }, { device, name: spec.weight });
  const diagonal = Float32Array.from(inverse, (value, j) => {
    return values[j * columns + j] === 0 ? 0 : (value * Math.max(1, tokens)) / 2;
  });
  return device.upload(diagonal, [columns]) as Vector;
}
