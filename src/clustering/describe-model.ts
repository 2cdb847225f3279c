import { BirdboneError, stopIfAborted } from '../errors.js';
import {
  disposeBlock,
  embeddedWindows,
  type HiddenStates,
  type LoadedBlock,
  loadBlock,
  type Model,
} from '../model/index.js';
import { type DescribedNeurons, describeBlock } from './describe-block.js';
import { HEADS } from './legs.js';
import { type Population, populationOf } from './population.js';
import type { ClusteringContext, ClusterSettings, NeuronKind } from './settings.js';

/** Looks at a block and at its neurons while its weights are there, and the windows are those before it. */
export type BlockVisitor = (block: LoadedBlock, states: HiddenStates | undefined) => Promise<void>;

export interface DescribeModelOptions extends Pick<ClusterSettings, 'by' | 'seed'> {
  readonly kind: NeuronKind;
  /** Called with each block before its neurons are described; leaves the states as they are. */
  readonly visit?: BlockVisitor;
}

/**
 * Yields what is known of the model's neurons, population by population: of channels and rows as soon as their block is done, of
 * heads at the end. One block's weights are resident. Throws `unsupported` for a model that cannot be run, `usage` without a text
 * where one is needed.
 */
export async function* describeModel(
  model: Model,
  { kind, visit, ...by }: DescribeModelOptions,
  context: ClusteringContext,
): AsyncGenerator<Population> {
  checkDescribable(model, by.by, context.calibration.length);
  const { device, report, signal } = context;
  const { blocks } = model.decoder;
  const states = await statesOf(model, context);
  const apart: DescribedNeurons[] = [];
  try {
    for (const { index } of blocks) {
      stopIfAborted(signal);
      const block = await loadBlock(model, index, device);
      const found: DescribedNeurons[] = [];
      try {
        await visit?.(block, states);
        found.push(...(await describeBlock(block, states, { ...by, kind, device, ...(signal && { signal }) })));
      } finally {
        disposeBlock(block);
      }
      for (const described of found) {
        if (described.neurons.population === HEADS) apart.push(described);
        else yield populationOf([described]);
      }
      report({ type: 'progress', stage: 'describe', done: index + 1, total: blocks.length, unit: 'blocks' });
    }
  } finally {
    await states?.close();
  }
  if (apart.length > 0) yield populationOf(apart);
}

/** Throws as `describeModel`, before any work. */
export function checkDescribable({ decoder, checkpoint }: Model, by: ClusterSettings['by'], windows: number): void {
  if (decoder.refusal !== undefined) {
    throw new BirdboneError('unsupported', `What its neurons are is not known of this model: ${decoder.refusal}.`, {
      file: checkpoint.path,
    });
  }
  if (by === 'structural' || windows > 0) return;
  throw new BirdboneError(
    'usage',
    `Neurons are described by what they give over a text (${by}), and there is no text.`,
    {
      suggestions: ['Give a text file: --calibration FILE', 'Describe them by their weights alone: --by structural'],
    },
  );
}

async function statesOf(
  model: Model,
  { calibration, device, memoryBytes, spillFolder }: ClusteringContext,
): Promise<HiddenStates | undefined> {
  if (calibration.length === 0) return undefined;
  return embeddedWindows(model, calibration, { device, memoryBytes, spillFolder });
}
