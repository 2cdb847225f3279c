import { type Checkpoint, rangeWithin } from '../../checkpoint/index.js';
import { stopIfAborted } from '../../errors.js';
import { type HiddenStates, type Model, withCheckpoint } from '../../model/index.js';
import { advanceStates, calibrationStates, meanDivergences, type SettleContext } from '../../pruning/index.js';
import { decodeToF32 } from '../../tensor/index.js';
import type { Form } from '../forms.js';
import { minus } from './gptq-gain.js';
import { firstWindows, type TryOptions } from './group-divergences.js';
import { type Rows, roundTrip, sampledRows } from './output-errors.js';
import type { Candidates, TriedGroup } from './sensitivity.js';

/** Of each form of an embedding or a head, ‖W−Q‖² / ‖W‖² over some of its rows: its inputs are all tokens. Reads only these rows. */
export async function tableErrors(
  { matrix, forms }: Candidates,
  { search }: TryOptions,
  { model }: Pick<SettleContext, 'model'>,
): Promise<readonly number[]> {
  const { weight, columns } = matrix;
  const chosen = sampledRows(matrix);
  const values = new Float32Array(chosen.length * columns);
  for (const [i, row] of chosen.entries()) values.set(await readRows(model.checkpoint, weight, [row, 1]), i * columns);
  const sample: Rows = { values, rows: chosen.length, columns };
  const whole = squares(values);
  return forms.map((form) => {
    return whole === 0 ? 0 : squares(minus(sample, roundTrip(sample, form, search)).values) / whole;
  });
}

/**
 * Mean KL(model as it is ‖ this embedding or head rounded) in nats a token, on the tokens that `groupDivergences` compares: the whole
 * model runs once for each, and rows are rounded as they are read. Deterministic.
 */
export async function tableDivergences(
  groups: readonly TriedGroup[],
  options: TryOptions,
  context: SettleContext,
): Promise<readonly number[]> {
  if (groups.length === 0) return [];
  const { model, device, signal } = context;
  const compared = { ...context, calibration: firstWindows(context.calibration) };
  const dense = await behindAll(model, compared);
  const divergences: number[] = [];
  try {
    for (const { members, place } of groups) {
      const now = members.reduce((so, { matrix, forms }) => withRounded(so, matrix, forms[place]!, options), model);
      const states = await behindAll(now, compared);
      try {
        const sides = { base: { model, states: dense }, now: { model: now, states: [states] } };
        divergences.push(...(await meanDivergences(sides, { device, ...(signal && { signal }) })));
      } finally {
        await states.close();
      }
    }
  } finally {
    await dense.close();
  }
  return divergences;
}

/** The windows' hidden states behind the last block. */
async function behindAll(model: Model, context: SettleContext): Promise<HiddenStates> {
  const states = await calibrationStates({ ...context, model, memoryBytes: context.memoryBytes / 2 });
  try {
    for (const { index } of model.decoder.blocks) {
      stopIfAborted(context.signal);
      await advanceStates(model, index, states, context);
    }
    return states;
  } catch (error) {
    await states.close();
    throw error;
  }
}

/** The model with one matrix as it would be read back; its rows are rounded whenever they are read. */
function withRounded(model: Model, matrix: Candidates['matrix'], form: Form, { search }: TryOptions): Model {
  const { checkpoint } = model;
  const { weight, rows, columns } = matrix;
  const info = { name: weight, dtype: 'F32', shape: [rows, columns], byteLength: 4 * rows * columns } as const;
  const rounded: Checkpoint = {
    ...checkpoint,
    tensors: new Map([...checkpoint.tensors, [weight, info]]),
    async read(name, range) {
      if ((checkpoint.aliases.get(name) ?? name) !== weight) return checkpoint.read(name, range);
      const { offset, length } = rangeWithin(info, range);
      const rowBytes = 4 * columns;
      const first = Math.floor(offset / rowBytes);
      const count = Math.ceil((offset + length) / rowBytes) - first;
      const values = await readRows(checkpoint, weight, [first, count]);
      const { buffer } = roundTrip({ values, rows: count, columns }, form, search);
      return new Uint8Array(buffer as ArrayBuffer, offset - first * rowBytes, length).slice();
    },
  };
  return withCheckpoint(model, rounded);
}

async function readRows(
  checkpoint: Checkpoint,
  weight: string,
  [first, count]: readonly [first: number, count: number],
): Promise<Float32Array> {
  const { dtype, byteLength, shape } = checkpoint.tensors.get(weight)!;
  const rowBytes = byteLength / shape[0]!;
  return decodeToF32(await checkpoint.read(weight, { offset: first * rowBytes, length: count * rowBytes }), dtype);
}

function squares(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
