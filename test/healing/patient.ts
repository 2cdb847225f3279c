import { rmSync } from 'node:fs';
import type { HealSettings, TrainContext, TrainState, TrainStep, TrainWork } from '../../src/healing/types.js';
import { type Model, openModel } from '../../src/model/index.js';
import type { Device } from '../../src/tensor/index.js';
import {
  TINY_LLAMA,
  type TinyConfig,
  type TinyModel,
  tinyModel,
  uniform,
  writeTinyModel,
} from '../reference/tiny-model.js';

const CONFIG: TinyConfig = {
  ...TINY_LLAMA,
  vocab_size: 13,
  hidden_size: 8,
  intermediate_size: 10,
  num_attention_heads: 2,
  num_key_value_heads: 1,
};

/** A tiny dense model, the same with weights set to zero, both on disk, and text of windows of several lengths. */
export interface Patient {
  readonly dense: TinyModel;
  readonly pruned: TinyModel;
  readonly teacher: Model;
  readonly student: Model;
  readonly linears: readonly string[];
  readonly windows: readonly { readonly ids: Int32Array }[];
  close(): Promise<void>;
}

export async function patient(sparsity = 0.4, lengths: readonly number[] = [5, 7, 1, 3, 6]): Promise<Patient> {
  const dense = tinyModel(CONFIG, 3);
  const pruned = withZeros(dense, sparsity);
  const folders = [dense, pruned].map((model) => writeTinyModel(model));
  const [teacher, student] = (await Promise.all(folders.map((folder) => openModel(folder)))) as [Model, Model];
  const random = uniform(7);
  return {
    dense,
    pruned,
    teacher,
    student,
    linears: student.decoder.blocks.flatMap(({ linears }) => linears.map(({ weight }) => weight)),
    windows: lengths.map((length) => ({
      ids: Int32Array.from({ length }, () => Math.floor(CONFIG.vocab_size * random())),
    })),
    close: async () => {
      await Promise.all([teacher, student].map(({ checkpoint }) => checkpoint.close()));
      for (const folder of folders) rmSync(folder, { recursive: true });
    },
  };
}

function withZeros(model: TinyModel, sparsity: number): TinyModel {
  const random = uniform(11);
  const tensors = new Map(model.tensors);
  for (const [name, { shape, values }] of model.tensors) {
    if (!name.includes('_proj')) continue;
    tensors.set(name, { shape, values: Float32Array.from(values, (value) => (random() < sparsity ? 0 : value)) });
  }
  return { ...model, tensors, tensor: (name) => tensors.get(name) };
}

/** Settings that learn every linear. */
export function settingsFor({ linears }: Pick<Patient, 'linears'>, chosen: Partial<HealSettings> = {}): HealSettings {
  return {
    method: 'distill',
    rank: 2,
    alpha: 3,
    intensity: new Map(linears.map((name) => [name, 1])),
    klShare: 0.7,
    learningRate: 0.01,
    warmUp: 0.2,
    clipNorm: 1,
    weightDecay: 0.01,
    batchWindows: 2,
    steps: 5,
    masked: true,
    frozen: 'stored',
    seed: 5,
    ...chosen,
  };
}

export function contextOn(device: Device, chosen: Partial<TrainContext> = {}): TrainContext {
  return { device, memoryBytes: 2 ** 26, spillFolder: '', report: () => {}, ...chosen };
}

/** Every step to the end, with the state after each. */
export async function allSteps(
  steps: AsyncGenerator<TrainStep, void, undefined>,
): Promise<(Omit<TrainStep, 'snapshot'> & { readonly state: TrainState })[]> {
  const found: (Omit<TrainStep, 'snapshot'> & { readonly state: TrainState })[] = [];
  for await (const { snapshot, ...step } of steps) found.push({ ...step, state: await snapshot() });
  return found;
}

export function workOf({ student, teacher, windows }: Patient, settings: HealSettings): TrainWork {
  return { student, teacher, windows, settings };
}
