import type { Checkpoint } from '../checkpoint/index.js';
import type { Plate, PlateGraph, PlateKind, PlateSlice, ProtectionReason } from '../plates/index.js';

export type PlateStatus = 'shed' | 'protected' | 'kept';

/** What goes when a plate goes. */
export interface PlateCost {
  readonly parameters: number;
  readonly bytes: number;
  /** Multiplications and additions per token; attention over earlier tokens, which grows with the context, is not in it. */
  readonly flops: number;
}

/** One line of the list. */
export interface ListedPlate extends Plate, PlateCost {
  readonly status: PlateStatus;
  /** As the metric's weights add up to. */
  readonly score: number;
  /** Comparable with the other blocks' plates of its kind; larger = keep. */
  readonly relative: number;
  /** The least aggressiveness at which it would be shed; absent when it never would. */
  readonly level?: number;
  /** Part of its energy that no combination of the others gives; absent when it was not looked for. */
  readonly residual?: number;
  /** Of a redundant plate: what it is a combination of, the largest part first. */
  readonly foldsInto?: readonly string[];
  readonly protections: readonly { readonly reason: ProtectionReason; readonly why: string }[];
}

/** Bytes and arithmetic of slices of a model. */
export class Costs {
  readonly #graph: PlateGraph;
  readonly #bytesEach: (tensor: string) => number;

  constructor(graph: PlateGraph, checkpoint: Checkpoint) {
    this.#graph = graph;
    this.#bytesEach = (tensor) => {
      const info = checkpoint.tensors.get(checkpoint.aliases.get(tensor) ?? tensor)!;
      return (
        info.byteLength /
        Math.max(
          1,
          info.shape.reduce((product, size) => product * size, 1),
        )
      );
    };
  }

  of(slices: readonly PlateSlice[]): PlateCost {
    const cost = { parameters: 0, bytes: 0, flops: 0 };
    for (const slice of slices) {
      const count = this.#graph.parametersOf([slice]);
      cost.parameters += count;
      cost.bytes += count * this.#bytesEach(slice.tensor);
      cost.flops += count * this.#flopsEach(slice.tensor);
    }
    return { ...cost, bytes: Math.round(cost.bytes), flops: Math.round(cost.flops) };
  }

  /** A weight is multiplied and added once a token; one of an expert by as many tokens as are sent there. */
  #flopsEach(tensor: string): number {
    const { decoder, linears } = this.#graph;
    if (tensor === decoder.head) return 2;
    const linear = linears.get(tensor);
    if (linear === undefined) return 0;
    if (linear.expert === undefined) return 2;
    const { experts } = decoder.blocks.find((block) => block.linears.includes(linear))!;
    return experts === undefined ? 2 : (2 * experts.perToken) / experts.count;
  }
}

/** All plates of one kind in one block (or the model) at a glance. */
export interface KindSummary {
  readonly kind: PlateKind;
  readonly block?: number;
  readonly plates: number;
  readonly shed: number;
  readonly protected: number;
  readonly parameters: number;
  readonly bytes: number;
}

/** Slices as text: `model.layers.0.mlp.down_proj.weight[:, 17]`, `…gate_proj.weight[17, :]`, ranges as `4:8`. */
export function sliceText({ tensor, axis, start, count }: PlateSlice, dimensions: number): string {
  const range = count === 1 ? String(start) : `${start}:${start + count}`;
  if (dimensions === 1) return `${tensor}[${range}]`;
  return axis === 0 ? `${tensor}[${range}, :]` : `${tensor}[:, ${range}]`;
}
