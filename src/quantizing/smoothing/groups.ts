import type { BlockHalf, BlockSpec, Decoder, LinearInput, LinearSpec, VectorKind } from '../../model/index.js';

/** Where scales go that the columns of an input's readers are multiplied by: what makes the input is divided by them. */
export type ScaleSource =
  /** A norm: its gain, to which `offset` is added before it multiplies (Gemma: 1), and its bias. */
  | { readonly kind: 'norm'; readonly gain: string; readonly bias?: string; readonly offset: 0 | 1 }
  /** A linear whose row `rows[j]` makes input j, and nothing else. */
  | { readonly kind: 'linear'; readonly linear: LinearSpec; readonly rows: Int32Array };

/** Linears that share an input whose columns can be scaled without a change to what the model computes. */
export interface SmoothGroup {
  readonly input: LinearInput;
  readonly readers: readonly LinearSpec[];
  readonly source: ScaleSource;
  /** The half of the block whose output the readers decide together; absent where the one reader is the last of its half. */
  readonly half?: BlockHalf;
}

/**
 * The inputs of a block's linears whose scales can be folded into what makes them: norm → q, k, v; v → o where each head has its
 * own values (Lin et al. 2023 leave out grouped queries, whose values several columns share); norm → gate, up; up → down where a
 * gate makes up's outputs factors. Norms before experts are not among them: the router reads them too.
 */
export function smoothGroups(block: BlockSpec, decoder: Decoder): readonly SmoothGroup[] {
  return [...normGroups(block, decoder), ...productGroups(block)];
}

/** Those of `smoothGroups` whose input a norm makes. */
export function normGroups(block: BlockSpec, decoder: Decoder): readonly SmoothGroup[] {
  const attention = normGroup(block, decoder, { kind: 'attention-norm', half: 'attention' });
  const isRouted = block.experts !== undefined;
  const feedForward = isRouted ? [] : normGroup(block, decoder, { kind: 'ffn-norm', half: 'feed-forward' });
  return [...attention, ...feedForward];
}

function normGroup(
  { linears, vectors }: BlockSpec,
  decoder: Decoder,
  { kind, half }: { readonly kind: 'attention-norm' | 'ffn-norm'; readonly half: BlockHalf },
): readonly SmoothGroup[] {
  const readers = linears.filter(({ input }) => input === kind);
  const named = (wanted: VectorKind) => vectors.find((vector) => vector.kind === wanted)?.tensor;
  const [gain, bias] = [named(kind), named(`${kind}-bias`)];
  const isShared = vectors.filter(({ tensor }) => tensor === gain).length > 1;
  if (gain === undefined || isShared || readers.length === 0) return [];
  const offset = decoder.norm === 'rms-plus-one' ? 1 : 0;
  return [{ input: kind, readers, half, source: { kind: 'norm', gain, offset, ...(bias && { bias }) } }];
}

function productGroups(block: BlockSpec): readonly SmoothGroup[] {
  const { linears } = block;
  return linears.flatMap((reader): SmoothGroup[] => {
    const made = reader.role === 'o' ? valueRows(block) : reader.role === 'down' ? upRows(block, reader) : undefined;
    if (made === undefined || made.rows.length !== reader.columns) return [];
    return [{ input: reader.input, readers: [reader], source: { kind: 'linear', ...made } }];
  });
}

interface Made {
  readonly linear: LinearSpec;
  readonly rows: Int32Array;
}

/** The rows of v, which attention mixes over tokens and never over dimensions; undefined where heads share them. */
function valueRows({ linears, heads, kvHeads }: BlockSpec): Made | undefined {
  if (heads !== kvHeads) return undefined;
  return rowsOf(linears.find(({ role }) => role === 'v') ?? linears.find(({ role }) => role === 'qkv'), 'v');
}

/** The rows of up, where its outputs are multiplied with an activated gate; without one the activation itself is in between. */
function upRows({ linears }: BlockSpec, { expert }: LinearSpec): Made | undefined {
  const own = linears.filter((linear) => linear.expert === expert);
  const fused = own.find(({ role }) => role === 'gate-up');
  if (fused !== undefined) return rowsOf(fused, 'up');
  return own.some(({ role }) => role === 'gate')
    ? rowsOf(
        own.find(({ role }) => role === 'up'),
        'up',
      )
    : undefined;
}

function rowsOf(linear: LinearSpec | undefined, role: 'v' | 'up'): Made | undefined {
  if (linear === undefined) return undefined;
  const segments = linear.segments?.filter((segment) => segment.role === role) ?? [{ start: 0, rows: linear.rows }];
  const rows = segments.flatMap(({ start, rows: count }) => Array.from({ length: count }, (_, i) => start + i));
  return { linear, rows: Int32Array.from(rows) };
}
