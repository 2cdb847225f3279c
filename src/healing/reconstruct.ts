import { mul, square, sub, sum, type Tensor, type Tensor3D } from '@tensorflow/tfjs-core';
import { storedBlocks, valueAndGradients } from '../evidence/index.js';
import {
  createHiddenStates,
  disposeTables,
  embedBatches,
  forwardBlock,
  type HiddenStates,
  type LoadedBlock,
  type Model,
  positionTables,
  runBlock,
  type TokenBatch,
} from '../model/index.js';
import { goOn } from '../pause.js';
import { enableGradients } from '../tensor/index.js';
import { GradientParts } from './gradient-parts.js';
import { HealedBlocks } from './healed-blocks.js';
import { copyState, type Learnt, learntOf, stateFrom } from './learnt.js';
import { takeStep } from './optimizer.js';
import { groupOf } from './schedule.js';
import { batchGroups } from './step-batches.js';
import { tokenWeights } from './token-weights.js';
import type { TrainContext, TrainStep, TrainWork } from './types.js';

/** Of the memory: what one block may keep on the device; the hidden states of the two models share the rest. */
const BLOCKS_SHARE = 0.5;

/**
 * Fits block after block: with what the healed blocks before it put in, each token's output is brought near to the dense block's by its
 * relative squared error. Backward no further than one block, so that memory is that of one block and the steps are the cheapest that
 * there are. The steps are divided evenly over the blocks in which something is learnt; each block's learning rate has a curve of its own.
 */
export async function* reconstruct(work: TrainWork, context: TrainContext): AsyncGenerator<TrainStep, void, undefined> {
  const { settings, student, teacher, from } = work;
  if (teacher === undefined) throw new RangeError('reconstruction needs the model that the blocks are fitted to');
  await enableGradients();
  const learnt = learntOf(student, settings);
  let state = stateFrom(from, learnt, settings.seed);
  const spans = blockSpans(learnt, settings.steps);
  const longest = Math.max(...[...spans.values()].map(({ start, end }) => end - start));
  const groups = batchGroups(student, work.windows, settings, context.device).slice(0, Math.max(1, longest));
  const blocks = await HealedBlocks.open(
    { student, learnt, settings, arrays: state.arrays },
    { device: context.device, memoryBytes: context.memoryBytes * BLOCKS_SHARE },
  );
  let streams: Streams | undefined;
  try {
    streams = await Streams.open({ student, teacher, blocks }, groups, context);
    for (let index = 0; index <= learnt.at(-1)!.block; index += 1) {
      await streams.advanceTeacher(index);
      const { start, end } = spans.get(index) ?? { start: 0, end: 0 };
      const inBlock = blocks.learntIn(index);
      while (state.step >= start && state.step < end) {
        await goOn(context.signal);
        const local = state.step - start;
        const group = groupOf(local + state.skipped, groups.length, settings.seed);
        const { loss, gradients } = await streams.fit(index, group);
        const at = { step: local + 1, steps: end - start, rateScale: state.rateScale };
        const taken = takeStep({ learnt: inBlock, arrays: state.arrays }, gradients, at, settings);
        state = { ...state, step: state.step + 1 };
        const now = state;
        context.report({ type: 'progress', stage: 'heal', done: now.step, total: settings.steps, unit: 'steps' });
        yield { step: now.step, loss, ...taken, snapshot: async () => copyState(now) };
      }
      await streams.advanceStudent(index);
    }
  } finally {
    blocks.close();
    await streams?.close();
  }
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Which of the steps fit which block. */
function blockSpans(learnt: readonly Learnt[], steps: number): ReadonlyMap<number, Span> {
  const blocks = [...new Set(learnt.map(({ block }) => block))];
  const border = (i: number) => Math.floor((i * steps) / blocks.length);
  return new Map(blocks.map((block, i) => [block, { start: border(i), end: border(i + 1) }]));
}

interface StreamModels {
  readonly student: Model;
  readonly teacher: Model;
  readonly blocks: HealedBlocks;
}

/** The hidden states of both models, between the same two blocks; the teacher's one block ahead while that block is fitted. */
class Streams {
  readonly #models: StreamModels;
  readonly #firsts: readonly number[];
  readonly #groups: readonly (readonly TokenBatch[])[];
  readonly #context: TrainContext;
  readonly #student: HiddenStates;
  readonly #teacher: HiddenStates;

  private constructor(
    models: StreamModels,
    groups: readonly (readonly TokenBatch[])[],
    context: TrainContext,
    states: readonly [HiddenStates, HiddenStates],
  ) {
    this.#models = models;
    this.#groups = groups;
    this.#context = context;
    [this.#student, this.#teacher] = states;
    let first = 0;
    this.#firsts = groups.map((batches) => {
      first += batches.length;
      return first - batches.length;
    });
  }

  static async open(
    models: StreamModels,
    groups: readonly (readonly TokenBatch[])[],
    context: TrainContext,
  ): Promise<Streams> {
    const batches = groups.flat();
    const memoryBytes = (context.memoryBytes * (1 - BLOCKS_SHARE)) / 2;
    const { spillFolder } = context;
    const create = ({ decoder }: Model) => createHiddenStates(batches, decoder.hidden, { memoryBytes, spillFolder });
    const states = [await create(models.student), await create(models.teacher)] as const;
    const streams = new Streams(models, groups, context, states);
    try {
      await embedBatches(models.student, states[0]);
      await embedBatches(models.teacher, states[1]);
      return streams;
    } catch (error) {
      await streams.close();
      throw error;
    }
  }

  advanceTeacher(index: number): Promise<void> {
    const use = storedBlocks(this.#models.teacher, this.#context.device);
    return use(index, (block) => this.#run(block, this.#teacher));
  }

  advanceStudent(index: number): Promise<void> {
    return this.#models.blocks.use(index, (block) => this.#run(block, this.#student));
  }

  /** The mean relative squared error of a group's tokens behind the block, and the gradients of what is learnt in it. */
  async fit(index: number, group: number): Promise<{ loss: number; gradients: ReadonlyMap<string, Float32Array> }> {
    const { blocks } = this.#models;
    const learnt = blocks.learntIn(index);
    const tokens = this.#groups[group]!.reduce((total, { lengths }) => total + lengths.reduce((a, b) => a + b, 0), 0);
    const sums = new GradientParts();
    let loss = 0;
    try {
      await blocks.use(index, async (block) => {
        for (const i of this.#groups[group]!.keys())
          loss += await this.#fitBatch(block, learnt, { group, i, tokens }, sums);
      });
      const gradients = new Map<string, Float32Array>();
      for (const each of learnt) {
        const parts = sums.of(each.spec.weight);
        if (parts === undefined) continue;
        for (const [name, values] of await blocks.pullBack(each, parts)) gradients.set(name, values);
      }
      return { loss, gradients };
    } finally {
      sums.dispose();
    }
  }

  async close(): Promise<void> {
    await this.#student.close();
    await this.#teacher.close();
  }

  async #fitBatch(
    block: LoadedBlock,
    learnt: readonly Learnt[],
    at: { readonly group: number; readonly i: number; readonly tokens: number },
    sums: GradientParts,
  ): Promise<number> {
    const { device } = this.#context;
    const batch = this.#groups[at.group]![at.i]!;
    const number = this.#firsts[at.group]! + at.i;
    const { rows, columns } = batch;
    const wanted = await this.#teacher.load(number);
    const upload = (values: Float32Array, width: number) => device.upload(values, [rows, columns, width]) as Tensor3D;
    const width = block.decoder.hidden;
    const input = upload(await this.#student.load(number), width);
    const target = upload(wanted, width);
    const weights = upload(tokenWeights(wanted, batch, width, at.tokens), 1);
    const tables = positionTables(block, columns, device);
    const matrices = learnt.map(({ spec }) => block.linears.get(spec.weight)!.weight);
    const found = valueAndGradients(
      () => sum(mul(square(sub(forwardBlock(block, input, tables), target)), weights)),
      matrices.flatMap(({ parts }) => parts),
    );
    try {
      let first = 0;
      const named = learnt.map(({ spec }, k) => {
        first += matrices[k]!.parts.length;
        return [spec.weight, found.gradients.slice(first - matrices[k]!.parts.length, first)] as const;
      });
      sums.add(new Map(named));
      return (await device.read(found.value))[0]!;
    } finally {
      const own: (Tensor | undefined)[] = [input, target, weights, found.value, ...found.gradients];
      for (const tensor of own) tensor?.dispose();
      disposeTables(tables);
    }
  }

  #run(block: LoadedBlock, states: HiddenStates): Promise<void> {
    const { device, signal } = this.#context;
    return runBlock(block, states, device, { store: true, ...(signal && { signal }) });
  }
}
