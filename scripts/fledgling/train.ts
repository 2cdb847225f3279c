import * as tf from '@tensorflow/tfjs-core';
import { type AdamWOptions, adamWStep, createMoments, gradientNorm } from '../../src/healing/index.js';
import { type Device, enableGradients } from '../../src/tensor/index.js';
import { type Architecture, initialParameters, type Parameter } from './architecture.js';
import { logitsOf, lossOf, type Positions, positionsOf } from './forward.js';
import { createRandom } from './random.js';

export interface TrainingOptions {
  readonly seed: number;
  readonly steps: number;
  /** Windows in a step. */
  readonly rows: number;
  /** Predictions in a window. */
  readonly tokens: number;
  /** The highest learning rate; reached after `warmUp` steps, then a half cosine down to `finalRate`. */
  readonly rate: number;
  readonly finalRate: number;
  readonly warmUp: number;
  /** The longest step: a gradient with a larger norm is scaled down to it. */
  readonly clip: number;
  readonly optimizer: AdamWOptions;
}

export interface TrainingStep {
  /** Counted from 1. */
  readonly step: number;
  /** Mean nats per token before the step. */
  readonly loss: number;
  readonly rate: number;
  /** Before clipping. */
  readonly gradientNorm: number;
}

/** The learning rate of a step counted from 1. Source of the shape: Loshchilov & Hutter 2017 (SGDR), one cycle. */
export function rateAt(step: number, { steps, warmUp, rate, finalRate }: TrainingOptions): number {
  if (step <= warmUp) return (rate * step) / warmUp;
  const progress = (step - warmUp) / Math.max(1, steps - warmUp);
  return finalRate + ((rate - finalRate) * (1 + Math.cos(Math.PI * progress))) / 2;
}

/** Ids that a run of these options reads: consecutive windows, none twice, and the last target. */
export function tokensNeeded({ steps, rows, tokens }: TrainingOptions): number {
  return steps * rows * tokens + 1;
}

/**
 * Trained parameters. Weights and moments live on the host and only the forward and backward pass run on the device, so that
 * the same seed, ids, device and thread count give the same bytes. Reports each step.
 */
export async function train(
  architecture: Architecture,
  ids: Int32Array,
  options: TrainingOptions,
  { device, report }: { device: Device; report?: (step: TrainingStep) => void },
): Promise<Parameter[]> {
  if (ids.length < tokensNeeded(options)) {
    throw new RangeError(`${ids.length} ids are too few for ${tokensNeeded(options)} that the steps read.`);
  }
  await enableGradients();
  const parameters = initialParameters(architecture, createRandom(options.seed));
  const moments = parameters.map(({ values }) => createMoments(values.length));
  const positions = positionsOf(architecture, options.tokens);
  const order = windowOrder(options);
  for (let step = 1; step <= options.steps; step += 1) {
    const batch = batchOf(ids, order.slice((step - 1) * options.rows, step * options.rows), options.tokens);
    const { loss, gradients } = await gradientsOf(parameters, batch, { architecture, positions, device });
    const norm = gradientNorm(gradients);
    const rate = rateAt(step, options);
    parameters.forEach(({ values, shape }, i) => {
      const scale = Math.min(1, options.clip / norm);
      adamWStep(values, gradients[i]!, moments[i]!, {
        step,
        rate,
        scale,
        decayed: shape.length === 2,
        options: options.optimizer,
      });
    });
    report?.({ step, loss, rate, gradientNorm: norm });
  }
  tf.dispose([positions.cos, positions.sin, positions.mask]);
  return parameters;
}

/** The windows' numbers in the order they are read. Shuffled, or neighbours that share a document would share a step. */
function windowOrder({ seed, steps, rows }: TrainingOptions): number[] {
  const windows = Array.from({ length: steps * rows }, (_, i) => i);
  return createRandom(seed + 1).sample(windows, windows.length);
}

interface Batch {
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
}

function batchOf(ids: Int32Array, windows: readonly number[], tokens: number): Batch {
  const inputs = new Int32Array(windows.length * tokens);
  const targets = new Int32Array(windows.length * tokens);
  windows.forEach((window, row) => {
    inputs.set(ids.subarray(window * tokens, (window + 1) * tokens), row * tokens);
    targets.set(ids.subarray(window * tokens + 1, (window + 1) * tokens + 1), row * tokens);
  });
  return { inputs, targets };
}

async function gradientsOf(
  parameters: readonly Parameter[],
  batch: Batch,
  { architecture, positions, device }: { architecture: Architecture; positions: Positions; device: Device },
): Promise<{ loss: number; gradients: Float32Array[] }> {
  const weights = parameters.map(({ values, shape }) => device.upload(values, shape));
  const inputs = device.upload(batch.inputs, [batch.inputs.length]) as tf.Tensor1D;
  const targets = device.upload(batch.targets, [batch.targets.length]) as tf.Tensor1D;
  const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
    const named = new Map(parameters.map(({ name }, i) => [name, tensors[i]!]));
    return lossOf(logitsOf(named, inputs, positions, architecture), targets);
  })(weights);
  const loss = (await device.read(value))[0]!;
  const gradients: Float32Array[] = [];
  for (const gradient of grads) gradients.push((await device.read(gradient)) as Float32Array);
  tf.dispose([value, ...grads, ...weights, inputs, targets]);
  return { loss, gradients };
}
