import { type Checkpoint, chunksOf } from '../checkpoint/index.js';
import { type CodedView, ownersOfParts } from '../coding/index.js';
import { stopIfAborted } from '../errors.js';
import type { Report } from '../events.js';
import { type WeightUse, workloadOf } from '../hardware/index.js';
import type { Model } from '../model/index.js';
import { countZeros } from '../tensor/index.js';
import type { HuggingFaceView } from '../translation/index.js';

/** Of keys and values, as engines keep them unless told otherwise. */
const CACHE_BYTES = 2;

/** What one token takes, whatever engine computes it; read from shapes, but for the zeros. */
export interface Demands {
  /** Multiplications and additions of weights, those by stored zeros included: a dense product does not leave them out. */
  readonly productOperations: number;
  /** Those of its attention over the context before it. */
  readonly attentionOperations: number;
  /** The fraction of `productOperations` that multiplies a zero; absent where factors stand for the weights. */
  readonly zeroOperations?: number;
  /** Of the weights that are multiplied with it, as they are stored. */
  readonly weightBytes: number;
  /** Keys and values of the context before it, in half precision. */
  readonly cacheBytes: number;
}

interface DemandsOptions {
  /** The model's checkpoint as it lies on the disk. */
  readonly stored: Checkpoint;
  /** Tokens that are in the cache. */
  readonly context: number;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** Dense weights in Hugging Face's terms, over coded ones, over a GGUF, or over nothing else. */
type View = Checkpoint & Partial<CodedView> & Partial<Pick<HuggingFaceView, 'storedNames'>>;

/** What a token takes of a model. Reads the multiplied weights once, to count zeros. Throws `interrupted` on abort. */
export async function demandsOf(model: Model, { stored, context, ...watch }: DemandsOptions): Promise<Demands> {
  const workload = workloadOf(model);
  const multiplied = workload.weights.filter(({ part }) => part === 'linear' || part === 'head');
  const view = model.checkpoint as View;
  const bytes = storedBytes(view.raw ?? stored);
  const nameOf = ({ tensor }: WeightUse) => view.aliases.get(tensor) ?? tensor;
  const numbers = multiplied.map((weight) => numbersOf(view, weight, nameOf(weight)) * weight.share);
  const isFactored = multiplied.some((weight) => rankOf(view, nameOf(weight)) !== undefined);
  const zeros = isFactored ? undefined : await zerosOf(view, multiplied, watch);
  return {
    productOperations: 2 * sum(numbers),
    attentionOperations: workload.attentionOperations(context),
    ...(zeros !== undefined && { zeroOperations: zeros / sum(numbers) }),
    weightBytes: sum(
      multiplied.map((weight) => weight.share * bytes.get(view.storedNames?.get(weight.tensor) ?? nameOf(weight))!),
    ),
    cacheBytes: context * workload.cacheNumbersPerToken * CACHE_BYTES,
  };
}

/** Numbers that are multiplied: of two factors, less than of their product. */
function numbersOf(view: Partial<CodedView>, { rows, columns }: WeightUse, name: string): number {
  const rank = rankOf(view, name);
  return rank === undefined ? rows * columns : rank * (rows + columns);
}

function rankOf({ coded, raw }: Partial<CodedView>, name: string): number | undefined {
  return coded?.get(name)?.kind === 'factors' ? raw!.tensors.get(name)!.shape[1] : undefined;
}

/** Bytes of each weight with all its parts, by the weight's name. */
function storedBytes({ tensors }: Checkpoint): ReadonlyMap<string, number> {
  const owners = ownersOfParts([...tensors.keys()]);
  const bytes = new Map<string, number>();
  for (const { name, byteLength } of tensors.values()) {
    const owner = owners.get(name) ?? name;
    bytes.set(owner, (bytes.get(owner) ?? 0) + byteLength);
  }
  return bytes;
}

/** Zeros that a token is multiplied with; undefined where elements are too small to be counted. */
async function zerosOf(
  checkpoint: Checkpoint,
  weights: readonly WeightUse[],
  { report, signal }: Pick<DemandsOptions, 'report' | 'signal'>,
): Promise<number | undefined> {
  let zeros = 0;
  for (const [done, { tensor, share }] of weights.entries()) {
    const { dtype } = checkpoint.tensors.get(checkpoint.aliases.get(tensor) ?? tensor)!;
    for await (const chunk of chunksOf(checkpoint, tensor)) {
      stopIfAborted(signal);
      const count = countZeros(chunk, dtype);
      if (count === undefined) return undefined;
      zeros += share * count;
    }
    report?.({ type: 'progress', stage: 'count zeros', done: done + 1, total: weights.length, unit: 'weights' });
  }
  return zeros;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
