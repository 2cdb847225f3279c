import type { Tensor2D } from '@tensorflow/tfjs-core';
import { stopIfAborted } from '../errors.js';
import { type BlockInputs, predictionsOf, rowsAt, scattered, vectorJacobian } from '../evidence/index.js';
import { applyNorm, disposeNorm, loadFinalNorm, loadHead, type Model, type Norm } from '../model/index.js';
import { type Device, disposeMatrix, type Matrix } from '../tensor/index.js';
import { distillationLoss, type LossSums } from './distillation-loss.js';

/** What stands behind a model's last block. */
interface LoadedHead {
  readonly model: Model;
  readonly norm: Norm;
  readonly head: Matrix;
}

export interface HeadPass {
  readonly inputs: BlockInputs;
  /** The teacher's rows of a batch (`TeacherStates.rowsOf`). */
  readonly teacherRows: (batch: number) => Promise<Float32Array>;
  /** Part of the loss that is KL. */
  readonly klShare: number;
  readonly signal?: AbortSignal | undefined;
}

/** Mean figures of a step's predictions, in nats. */
export interface StepLoss extends LossSums {
  readonly loss: number;
  readonly predictions: number;
}

/** The final norms and heads of student and teacher, on the device as long as training goes on. */
export class HealingHead {
  readonly #device: Device;
  readonly #student: LoadedHead;
  readonly #teacher: LoadedHead | undefined;

  private constructor(device: Device, student: LoadedHead, teacher: LoadedHead | undefined) {
    this.#device = device;
    this.#student = student;
    this.#teacher = teacher;
  }

  static async open(student: Model, teacher: Model | undefined, device: Device): Promise<HealingHead> {
    const own = await load(student, device);
    try {
      return new HealingHead(device, own, teacher && (await load(teacher, device)));
    } catch (error) {
      dispose(own);
      throw error;
    }
  }

  /** Fills `inputs.gradients` with the gradient of the step's mean loss with respect to what came out of the last block. */
  async startBackward(pass: HeadPass): Promise<StepLoss> {
    const { inputs, klShare, signal } = pass;
    const { batches } = inputs.gradients;
    const predictions = batches.reduce((sum, batch) => sum + predictionsOf(batch).positions.length, 0);
    let [crossEntropy, divergence] = [0, 0];
    for (const i of batches.keys()) {
      stopIfAborted(signal);
      const found = await this.#batch(pass, i, predictions);
      crossEntropy += found.crossEntropy / predictions;
      divergence += found.divergence / predictions;
    }
    const loss = klShare * divergence + (1 - klShare) * crossEntropy;
    return { loss, crossEntropy, divergence, predictions };
  }

  close(): void {
    dispose(this.#student);
    if (this.#teacher !== undefined) dispose(this.#teacher);
  }

  async #batch({ inputs, teacherRows, klShare }: HeadPass, i: number, total: number): Promise<LossSums> {
    const device = this.#device;
    const { model, norm } = this.#student;
    const { blocks, hidden: width } = model.decoder;
    const batch = inputs.gradients.batches[i]!;
    const { positions, targets } = predictionsOf(batch);
    const rows = rowsAt(await inputs.before(blocks.length).load(i), positions, width);
    const hidden = device.upload(rows, [positions.length, width]) as Tensor2D;
    try {
      const teacher = this.#teacher && predicting(this.#teacher, await teacherRows(i), device);
      const student = predicting(this.#student, rows, device);
      const found = await distillationLoss(student, teacher, { targets, share: klShare }, device).finally(() => {
        student.normed.dispose();
        teacher?.normed.dispose();
      });
      const upstream = device.upload(
        found.gradient.map((value) => value / total),
        [positions.length, width],
      );
      const [gradient] = vectorJacobian(() => applyNorm(norm, hidden), [hidden], upstream);
      const read = (await device.read(gradient!)) as Float32Array;
      upstream.dispose();
      gradient!.dispose();
      await inputs.gradients.store(i, scattered(read, positions, batch.ids.length, width));
      return found;
    } finally {
      hidden.dispose();
    }
  }
}

async function load(model: Model, device: Device): Promise<LoadedHead> {
  const norm = await loadFinalNorm(model, device);
  try {
    return { model, norm, head: await loadHead(model, device) };
  } catch (error) {
    disposeNorm(norm);
    throw error;
  }
}

function predicting({ model, norm, head }: LoadedHead, rows: Float32Array, device: Device) {
  const { hidden: width, finalSoftcap: cap } = model.decoder;
  const hidden = device.upload(rows, [rows.length / width, width]) as Tensor2D;
  const normed = applyNorm(norm, hidden);
  hidden.dispose();
  return { normed, head, cap };
}

function dispose({ norm, head }: LoadedHead): void {
  disposeNorm(norm);
  disposeMatrix(head);
}
