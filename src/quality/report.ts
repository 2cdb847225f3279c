/** One matrix of a compressed model: what it is stored as now, what that takes, and what it cost. Other fields are the step's own. */
export interface ReportedMatrix {
  readonly weight: string;
  readonly rows: number;
  readonly columns: number;
  /** In words. */
  readonly form: string;
  /** Bits that a weight takes, with everything that is stored beside the codes. */
  readonly bits: number;
  /** Absent for a matrix that stays as it is. */
  readonly algorithm?: string;
  /** Why a matrix stays, or why another algorithm was used for it than for the others. */
  readonly reason?: string;
  /** ‖W − Ŵ‖_F / ‖W‖_F. */
  readonly error?: number;
  /** Squared error of the outputs for a token of the calibration text. */
  readonly loss?: number;
}

/** A wave as far as the report looks at it. */
export interface ReportedWave {
  readonly wave: number;
  readonly active: boolean;
  readonly figures: Readonly<Record<string, number>>;
  readonly blocks?: { readonly errors: readonly number[]; readonly passages: number };
  readonly details?: Readonly<Record<string, readonly object[]>>;
}

export interface QualityInput {
  /** Last parts of the paths. */
  readonly names: { readonly before: string; readonly after: string };
  readonly format: string;
  readonly waves: readonly ReportedWave[];
  readonly baseline: Readonly<Record<string, number>>;
  /** Figures of what is published. */
  readonly result: Readonly<Record<string, number>>;
  /** Bytes of all tensors, of the base and as published. */
  readonly bytes: { readonly before: number; readonly after: number };
}

/** A figure of the model before and after, with the interval of the latter where there is one. */
export interface ReportedFigure {
  readonly name: string;
  readonly before?: number;
  readonly after: number;
  readonly low?: number;
  readonly high?: number;
}

/** What a budget allowed the matrices that were chosen for, and what they took. */
export interface ReportedBudget {
  readonly bytes: number;
  readonly budgetBytes: number;
  /** Of these matrices. */
  readonly weights: number;
  /** With a budget of bytes: of all tensors that are published, of a GGUF of the whole file with the longest manifest. */
  readonly published?: { readonly bytes: number; readonly budgetBytes: number };
  /** Why all matrices got one form. */
  readonly reason?: string;
}

/** How good a quantized or factorized model is, and what it is made of. */
export interface QualityReport {
  readonly names: QualityInput['names'];
  readonly format: string;
  readonly bytes: QualityInput['bytes'];
  /** Over the matrices that have a new form, and over all that were looked at. */
  readonly bitsPerWeight: { readonly changed: number; readonly all: number };
  /** How a budget of bits or bytes was spent, where there was one. */
  readonly budget?: ReportedBudget;
  readonly figures: readonly ReportedFigure[];
  /** Relative error of each block's output, on so many windows. */
  readonly blocks?: { readonly errors: readonly number[]; readonly passages: number };
  readonly changed: readonly ReportedMatrix[];
  /** Matrices that stay, with the reasons. */
  readonly kept: readonly ReportedMatrix[];
  /** Matrices whose codes another algorithm found, or that have another form than the others, with the reasons. */
  readonly fallbacks: readonly ReportedMatrix[];
}

const FIGURES = [
  'perplexity',
  'accuracy',
  'accuracyLoss',
  'perplexityRatio',
  'kl',
  'agreement',
  'flips',
  'fullCachePerplexity',
] as const;

/** Fields of a wave's details that hold a row for each matrix. */
const KINDS = ['quantized', 'factorized'] as const;

/** The report on what is published; undefined where no wave that counts has changed how matrices are stored. Pure. */
export function qualityReport(input: QualityInput): QualityReport | undefined {
  const matrices = new Map<string, ReportedMatrix>();
  const active = input.waves.filter((wave) => wave.active);
  for (const { details = {} } of active) {
    for (const kind of KINDS) {
      // A later step that leaves a matrix alone takes nothing from what an earlier one has to say of it.
      for (const row of (details[kind] ?? []) as readonly ReportedMatrix[]) {
        if (row.algorithm !== undefined || !matrices.has(row.weight)) matrices.set(row.weight, row);
      }
    }
  }
  if (matrices.size === 0) return undefined;
  const rows = [...matrices.values()];
  const changed = rows.filter(({ algorithm }) => algorithm !== undefined);
  const budget = active.findLast(({ details }) => details?.['budget'] !== undefined)?.details?.['budget']?.[0];
  const blocks = active.findLast((wave) => wave.blocks !== undefined)?.blocks;
  return {
    names: input.names,
    format: input.format,
    bytes: input.bytes,
    bitsPerWeight: { changed: meanBits(changed), all: meanBits(rows) },
    ...(budget && { budget: budget as ReportedBudget }),
    figures: figuresOf(input),
    ...(blocks && { blocks: { errors: blocks.errors, passages: blocks.passages } }),
    changed,
    kept: rows.filter(({ algorithm }) => algorithm === undefined),
    fallbacks: changed.filter(({ reason, form }) => reason !== undefined || form.includes(' in place of ')),
  };
}

function figuresOf({ baseline, result }: QualityInput): ReportedFigure[] {
  return FIGURES.flatMap((name): ReportedFigure[] => {
    const after = result[name];
    if (after === undefined) return [];
    const [before, low, high] = [baseline[name], result[`${name}Low`], result[`${name}High`]];
    return [
      {
        name,
        ...(before !== undefined && { before }),
        after,
        ...(low !== undefined && { low }),
        ...(high !== undefined && { high }),
      },
    ];
  });
}

function meanBits(rows: readonly ReportedMatrix[]): number {
  const weights = rows.reduce((sum, row) => sum + row.rows * row.columns, 0);
  const bits = rows.reduce((sum, row) => sum + row.rows * row.columns * row.bits, 0);
  return weights === 0 ? 0 : bits / weights;
}
