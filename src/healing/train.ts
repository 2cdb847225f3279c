import type { TokenBatch } from '../model/index.js';
import { goOn } from '../pause.js';
import { enableGradients } from '../tensor/index.js';
import { HealedBlocks } from './healed-blocks.js';
import { HealingHead } from './healing-head.js';
import { copyState, type Learnt, learntOf, stateFrom } from './learnt.js';
import { takeStep } from './optimizer.js';
import { groupOf } from './schedule.js';
import { batchGroups } from './step-batches.js';
import { stepGradients } from './step-gradients.js';
import { TeacherStates } from './teacher-states.js';
import type { TrainContext, TrainState, TrainStep, TrainWork } from './types.js';

/** Of the memory for training: what blocks may keep on the device, the teacher's states, and the step's own. */
export const MEMORY_SHARES = { blocks: 0.5, teacher: 0.25, step: 0.25 };

/**
 * Trains end to end, step by step: the loss behind the head, gradients block by block. What a step does depends on the state before it
 * alone, so that training that goes on from a state takes the same steps, bit for bit, however much memory it has.
 */
export async function* distill(work: TrainWork, context: TrainContext): AsyncGenerator<TrainStep, void, undefined> {
  const { settings, student, from } = work;
  const { device, memoryBytes } = context;
  await enableGradients();
  const learnt = learntOf(student, settings);
  let state = stateFrom(from, learnt, settings.seed);
  const groups = batchGroups(student, work.windows, settings, device);
  const batchOf = (drawn: number) => groupOf(drawn, groups.length, settings.seed);
  const opened = await open(work, { learnt, groups, arrays: state.arrays }, context);
  const stepContext = { ...context, memoryBytes: memoryBytes * MEMORY_SHARES.step };
  try {
    while (state.step < settings.steps) {
      await goOn(context.signal);
      const drawn = state.step + state.skipped;
      const group = batchOf(drawn);
      const upcoming = () => upcomingGroups(drawn, settings.steps - state.step, batchOf);
      const teacherRows = (batch: number) => opened.teacher!.rowsOf(group, batch, upcoming());
      const klShare = opened.teacher === undefined ? 0 : settings.klShare;
      const found = await stepGradients(opened, groups[group]!, { klShare, teacherRows }, stepContext);
      const at = { step: state.step + 1, steps: settings.steps, rateScale: state.rateScale };
      const taken = takeStep({ learnt, arrays: state.arrays }, found.gradients, at, settings);
      state = { ...state, step: state.step + 1 };
      const { step } = state;
      context.report({ type: 'progress', stage: 'heal', done: step, total: settings.steps, unit: 'steps' });
      const now = state;
      yield { step, loss: found.loss, ...taken, snapshot: async () => copyState(now) };
    }
  } finally {
    await opened.close();
  }
}

/** The groups of the next steps, as many as there are left. */
function* upcomingGroups(drawn: number, left: number, batchOf: (drawn: number) => number): Generator<number> {
  for (let i = 0; i < left; i += 1) yield batchOf(drawn + i);
}

interface Opening {
  readonly learnt: readonly Learnt[];
  readonly groups: readonly (readonly TokenBatch[])[];
  readonly arrays: TrainState['arrays'];
}

async function open({ student, teacher, settings }: TrainWork, opening: Opening, context: TrainContext) {
  const { device, memoryBytes } = context;
  const { learnt, groups, arrays } = opening;
  const teacherContext = { ...context, memoryBytes: memoryBytes * MEMORY_SHARES.teacher };
  const states = teacher && (await TeacherStates.open(teacher, groups, teacherContext));
  const blocks = await HealedBlocks.open(
    { student, learnt, settings, arrays },
    { device, memoryBytes: memoryBytes * MEMORY_SHARES.blocks },
  );
  const close = async () => {
    blocks.close();
    await states?.close();
  };
  try {
    const head = await HealingHead.open(student, teacher, device);
    return { student, blocks, head, teacher: states, close: () => close().finally(() => head.close()) };
  } catch (error) {
    await close();
    throw error;
  }
}
