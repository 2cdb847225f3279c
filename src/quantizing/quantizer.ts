import type { TensorInfo } from '../checkpoint/index.js';
import type { BlockSpec, HiddenStates, LinearSpec, LoadedBlock, Model } from '../model/index.js';
import type { EditContext } from '../pruning/index.js';
import type { QuantizedMatrix, RoundedRows, RowRounder, Scheme } from '../quantization/index.js';
import type { Removal, SolverCost } from '../solvers/index.js';

/** What a quantizer works with: `model` is the base under all layers so far, and is never changed. */
export type QuantizeContext = Pick<
  EditContext,
  'model' | 'device' | 'calibration' | 'memoryBytes' | 'spillFolder' | 'compared' | 'report' | 'signal'
> & {
  /** Where rows may be rounded while others are read and written. */
  readonly rounder?: RowRounder;
};

/** What is to become of a model's matrices. */
export interface QuantizeRules {
  readonly quantizer: Quantizer;
  /** The scheme of a linear's weight; undefined for one that stays as it is. */
  readonly schemeOf: (spec: LinearSpec) => Scheme | undefined;
  readonly options?: QuantizerOptions;
}

/** What algorithms leave to choose; each looks at its own. */
export interface QuantizerOptions {
  /** Scales by the largest weight of a group (the default), or by the least squared error. */
  readonly search?: 'absmax' | 'mse';
  /** GPTQ: columns with the largest inputs first, under scales fitted beforehand; true unless given, or masks are chosen on the way. */
  readonly actOrder?: boolean;
  /** GPTQ: each input is looked at anew when what makes it is quantized (q, k, v; o; gate, up; down); true unless given. */
  readonly trueSequential?: boolean;
  /** GPTQ: what is added to the diagonal first, as a fraction of its mean; 0.01 unless given. */
  readonly damp?: number;
  /** GPTQ: what it removes on the way, as SparseGPT does; nothing unless given. */
  readonly removalOf?: (weight: string) => Removal | undefined;
  /** SmoothQuant's migration strength α; 0.5 unless given. */
  readonly alpha?: number;
}

/** How one matrix was quantized, for the quality report. */
export interface MatrixReport {
  readonly weight: string;
  /** The algorithm that its codes came from: `rtn` where another could not be used, and then `reason` says why. */
  readonly algorithm: string;
  readonly reason?: string;
  /** GPTQ: Σ ((w − q) / U_jj)² / tokens: the squared error of the matrix's outputs for a token of the calibration text, damping included. */
  readonly loss?: number;
  /** GPTQ: what was added to the diagonal of the Gram matrix, as a fraction of its mean. */
  readonly damp?: number;
  /** GPTQ: the part of its weights that the sweep left out, those that were 0 before among them. */
  readonly removed?: number;
  /** AWQ: the exponent that the search of its input's scales ended with, and the output error there over that of plain rounding. */
  readonly ratio?: number;
  readonly errorRatio?: number;
}

/** Where results go, as they are made. */
export interface QuantizedSink {
  /** The codes of one linear's weight, [rows, columns] = [out, in] however the dense weight was stored; each comes once. */
  matrix(spec: LinearSpec, quantized: QuantizedMatrix, report: MatrixReport): Promise<void>;
  /** The next rows of a weight that comes as it will be stored, strip after strip from its first row on; weights one after the other. */
  rows?(target: QuantizeTarget, strip: RoundedRows, report: MatrixReport): Promise<void>;
  /** New values of another tensor, in the order in which it is stored and of numbers that its type holds exactly. */
  values(info: TensorInfo, values: Float32Array): Promise<void>;
}

/** One block's linears that are to be quantized, in model order. */
export interface QuantizeTarget {
  readonly spec: LinearSpec;
  readonly scheme: Scheme;
}

/** One block, and what calibration text brings to it: absent for a quantizer that needs none. */
export interface BlockWork {
  readonly spec: BlockSpec;
  readonly targets: readonly QuantizeTarget[];
  readonly text?: BlockText;
}

export interface BlockText {
  readonly block: LoadedBlock;
  readonly states: HiddenStates;
}

/** A way to find a matrix's codes. */
export interface Quantizer {
  /** What it looks at: the weights alone, or calibration text too. */
  readonly needs: 'weights' | 'text';
  /** What it costs besides running text through the blocks, where that counts: for plans. */
  readonly cost?: SolverCost;
  /** It leaves the loaded block with the weights that it has made, and changes nothing else: nobody has to keep them until it runs. */
  readonly revisesBlock?: true;
  /** Throws `unsupported` for a scheme that it is not made for. */
  checkScheme?(scheme: Scheme): void;
  /** Stored names of tensors that it changes besides the weights of `targets` (norm gains, biases): known without any text. */
  changes?(work: Pick<BlockWork, 'spec' | 'targets'>, model: Model): readonly string[];
  /** Quantizes the targets, each into the sink; the states are left as they are, and so is the block unless it `revisesBlock`. Deterministic. */
  quantizeBlock(
    work: BlockWork,
    options: QuantizerOptions,
    context: QuantizeContext,
    sink: QuantizedSink,
  ): Promise<void>;
}
