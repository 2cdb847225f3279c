import { type Architecture, type KnownRole, type LinearTemplate, tensorName } from './architecture.js';
import type { Claims } from './claims.js';
import type { DecoderConfig } from './config.js';
import type { BlockShape, BlockSpec, LinearInput, LinearRole, LinearSpec, VectorKind, VectorSpec } from './decoder.js';

/** Returns what a block's tensors mean, each claimed with the shape that its role implies. Throws as `Claims.claim`. */
export function claimBlock(
  claims: Claims,
  { index, shape }: { readonly index: number; readonly shape: BlockShape },
  config: DecoderConfig,
  architecture: Architecture,
): BlockSpec {
  const { hidden } = config.numbers;
  const linears = architecture.linears
    .filter(({ role }) => (ATTENTION_ROLES.has(role) ? shape.attention : shape.feedForward))
    .flatMap((template) => expertsOf(template, shape).map((expert) => ({ template, expert })))
    .map(({ template, expert }): LinearSpec => {
      const name = tensorName(template.name, index, expert);
      const { rows, columns, input } = sizesOf(template.role, shape, hidden);
      const { layout, segments } = template;
      const stored = layout === 'in-out' ? [columns, rows] : [rows, columns];
      const hasBias = template.bias === true || (template.bias !== undefined && config.biases[template.bias]);
      return {
        role: template.role,
        input: expert === undefined ? input : expertInput(input, expert),
        weight: claims.claim(`${name}.weight`, stored),
        ...(hasBias && { bias: claims.claim(`${name}.bias`, [rows]) }),
        rows,
        columns,
        ...(layout !== undefined && { layout }),
        ...(expert !== undefined && { expert }),
        ...(segments !== undefined && { segments: segments(shape) }),
      };
    });
  const vectors = architecture.vectors
    .filter(({ kind }) => (ATTENTION_VECTORS.has(kind) ? shape.attention : shape.feedForward))
    .map(({ kind, tensor, axis }): VectorSpec => {
      const size = axis === 'hidden' ? hidden : shape.headDim;
      return { kind, tensor: claims.claim(tensorName(tensor, index), [size]), axis };
    });
  return { index, ...shape, linears, vectors };
}

const ATTENTION_ROLES: ReadonlySet<LinearRole> = new Set(['q', 'k', 'v', 'qkv', 'o'] as const);
const ATTENTION_VECTORS: ReadonlySet<VectorKind> = new Set([
  'attention-norm',
  'attention-norm-bias',
  'post-attention-norm',
  'q-norm',
  'k-norm',
] as const);

/** The experts that a template has a linear for; one undefined for a linear that is no expert's. */
function expertsOf({ name }: LinearTemplate, { experts }: BlockShape): (number | undefined)[] {
  if (!name.includes('{e}')) return [undefined];
  return Array.from({ length: experts?.count ?? 0 }, (_, expert) => expert);
}

function expertInput(input: LinearInput, expert: number): LinearInput {
  return input === 'ffn-inner' ? `ffn-inner-${expert}` : `ffn-norm-${expert}`;
}

type Sizes = Pick<LinearSpec, 'rows' | 'columns' | 'input'>;

function sizesOf(role: KnownRole, block: BlockShape, hidden: number): Sizes {
  const queries = block.heads * block.headDim;
  const keys = block.kvHeads * block.headDim;
  switch (role) {
    case 'q':
      return { rows: queries, columns: hidden, input: 'attention-norm' };
    case 'k':
    case 'v':
      return { rows: keys, columns: hidden, input: 'attention-norm' };
    case 'qkv':
      return { rows: queries + 2 * keys, columns: hidden, input: 'attention-norm' };
    case 'o':
      return { rows: hidden, columns: queries, input: 'attention-out' };
    case 'router':
      return { rows: block.experts?.count ?? 0, columns: hidden, input: 'ffn-norm' };
    case 'gate':
    case 'up':
      return { rows: block.ffn, columns: hidden, input: 'ffn-norm' };
    case 'gate-up':
      return { rows: 2 * block.ffn, columns: hidden, input: 'ffn-norm' };
    case 'down':
      return { rows: hidden, columns: block.ffn, input: 'ffn-inner' };
  }
}
