import { stopIfAborted } from '../errors.js';
import {
  createHiddenStates,
  disposeBlock,
  embedBatches,
  type HiddenStates,
  loadBlock,
  runBlock,
  runBlocks,
} from '../model/index.js';
import { Marks, type PlateGraph } from '../plates/index.js';
import type { DepthContest } from '../shedding/index.js';
import { contestBatches, firstBatches, realTokens } from './candidate-contest.js';
import type { EditContext } from './edit.js';
import { meanDivergences } from './mean-divergences.js';
import { withShed } from './shed-block.js';

/**
 * Compares sets of blocks and halves of blocks by what the model predicts without them: mean KL from the dense model over windows
 * of the calibration text. All sets go through a block while it is on the device, each as it needs it.
 */
export async function openDepthContest(
  graph: PlateGraph,
  context: EditContext,
): Promise<DepthContest & { close(): Promise<void> }> {
  const dense = context.dense ?? context.model;
  const batches = contestBatches(dense, context);
  const reference = await runBlocks(dense, batches, context);
  return {
    tokens: realTokens(batches),
    async divergences(sets, tokens) {
      const { model, device, memoryBytes, spillFolder, signal } = context;
      const some = firstBatches(batches, tokens);
      const all: HiddenStates[] = [];
      try {
        for (const _ of sets) {
          const room = { memoryBytes: memoryBytes / sets.length, spillFolder };
          all.push(await createHiddenStates(some, model.decoder.hidden, room));
          await embedBatches(model, all.at(-1)!);
        }
        for (const { index } of model.decoder.blocks) await runSets({ graph, index, sets, all }, context);
        const sides = { base: { model: dense, states: reference }, now: { model, states: all } };
        return await meanDivergences(sides, { device, ...(signal && { signal }) });
      } finally {
        for (const states of all) await states.close();
      }
    },
    close: () => reference.close(),
  };
}

/** What of a block runs. */
type Shape = 'whole' | 'without attention' | 'without network' | 'nothing';

async function runSets(
  at: {
    readonly graph: PlateGraph;
    readonly index: number;
    readonly sets: readonly ReadonlySet<string>[];
    readonly all: readonly HiddenStates[];
  },
  context: EditContext,
): Promise<void> {
  const { graph, index } = at;
  const shapes = at.sets.map((gone) => shapeOf(gone, index));
  for (const shape of new Set(shapes)) {
    if (shape === 'nothing') continue;
    const kind = shape === 'without attention' ? 'attention' : 'ffn';
    const marks = shape === 'whole' ? Marks.none : Marks.of([{ kind, block: index, index }]);
    const model = withShed(context.model, graph, { marks, values: new Map() });
    const block = await loadBlock(model, index, context.device);
    try {
      for (const [i, states] of at.all.entries()) {
        if (shapes[i] !== shape) continue;
        stopIfAborted(context.signal);
        await runBlock(block, states, context.device, {
          store: true,
          ...(context.signal && { signal: context.signal }),
        });
      }
    } finally {
      disposeBlock(block);
    }
  }
}

function shapeOf(gone: ReadonlySet<string>, block: number): Shape {
  const isWhole = gone.has(`block:${block}`);
  const [attention, network] = ['attention', 'ffn'].map((kind) => isWhole || gone.has(`${kind}:${block}`));
  if (attention && network) return 'nothing';
  if (attention) return 'without attention';
  return network ? 'without network' : 'whole';
}
