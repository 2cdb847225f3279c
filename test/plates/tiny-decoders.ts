import type { BlockSpec, Decoder, LinearSpec } from '../../src/model/index.js';
import { decoderOf } from '../model/decoder-of.js';

interface Sizes {
  readonly blocks: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly vocabulary: number;
  readonly tied?: boolean;
}

/** A decoder of Llama's blocks with biases on every linear and short names. */
export function llamaDecoder({ blocks, tied = false, ...sizes }: Sizes): Decoder {
  return decoderOf({
    ...sizes,
    blocks: Array.from({ length: blocks }, (_, index) => llamaBlock(index, sizes)),
    embedding: 'embedding',
    finalNorm: 'norm',
    head: tied ? 'embedding' : 'head',
    tied,
  });
}

function llamaBlock(index: number, { hidden, heads, kvHeads, headDim, ffn }: Omit<Sizes, 'blocks'>): BlockSpec {
  const linear = (role: LinearSpec['role'], input: LinearSpec['input'], rows: number, columns: number): LinearSpec => {
    const name = `b${index}.${role}`;
    return { role, input, weight: `${name}.weight`, bias: `${name}.bias`, rows, columns };
  };
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  return {
    index,
    linears: [
      linear('q', 'attention-norm', queries, hidden),
      linear('k', 'attention-norm', keys, hidden),
      linear('v', 'attention-norm', keys, hidden),
      linear('o', 'attention-out', hidden, queries),
      linear('gate', 'ffn-norm', ffn, hidden),
      linear('up', 'ffn-norm', ffn, hidden),
      linear('down', 'ffn-inner', hidden, ffn),
    ],
    vectors: [
      { kind: 'attention-norm', tensor: `b${index}.attention-norm`, axis: 'hidden' },
      { kind: 'ffn-norm', tensor: `b${index}.ffn-norm`, axis: 'hidden' },
    ],
    attention: true,
    feedForward: true,
    heads,
    kvHeads,
    headDim,
    ffn,
  };
}
