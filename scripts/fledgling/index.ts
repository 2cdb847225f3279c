/**
 * Makes models/fledgling anew, from nothing but the seeds in settings.ts: generates the text, trains the tokenizer and the model
 * on the CPU device, writes the folder and measures it. `npm run train:fledgling [-- --out FOLDER] [--steps N]`.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openDevice } from '../../src/tensor/index.js';
import { FLEDGLING } from './architecture.js';
import { heldOutDocuments, tokenizerOf, trainingIds } from './corpus.js';
import { joinDocuments } from './generate-text.js';
import { measureFolder } from './measure.js';
import { LICENCE, modelCard } from './model-card.js';
import { CARD_SPARSITIES, TEXT_SEEDS, TRAINING } from './settings.js';
import { type TrainingStep, tokensNeeded, train } from './train.js';
import { writeModel } from './write-model.js';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: flags } = parseArgs({ options: { out: { type: 'string' }, steps: { type: 'string' } } });
const folder = flags.out ?? path.resolve(here, '../../models/fledgling');
const training = { ...TRAINING, steps: Number(flags.steps ?? TRAINING.steps) };
if (!Number.isInteger(training.steps) || training.steps < 1)
  throw new RangeError(`--steps ${flags.steps} is no number of steps.`);

const heldOut = heldOutDocuments();
const vocabulary = tokenizerOf(heldOut, FLEDGLING.vocabulary);
console.error('Generating and encoding the training text');
const ids = trainingIds(heldOut, vocabulary, tokensNeeded(training));

const device = await openDevice('cpu');
console.error(`Training on ${device.description}`);
const losses: number[] = [];
const parameters = await train(FLEDGLING, ids, training, { device, report: progress(training.steps, losses) });

await mkdir(folder, { recursive: true });
await writeModel(folder, { architecture: FLEDGLING, parameters, vocabulary });
await writeFile(path.join(folder, 'calibration.txt'), joinDocuments(heldOut.calibration));
await writeFile(path.join(folder, 'evaluation.txt'), joinDocuments(heldOut.evaluation));
await writeFile(path.join(folder, 'LICENSE'), LICENCE);

console.error('Measuring');
const measured = await measureFolder(folder, CARD_SPARSITIES, device);
const last = losses.slice(-100);
const finalLoss = last.reduce((total, loss) => total + loss, 0) / last.length;
const card = modelCard({ architecture: FLEDGLING, parameters, training, finalLoss, measured, seeds: TEXT_SEEDS });
await writeFile(path.join(folder, 'README.md'), card);
await device.close();
console.log(card);

/** A line every 25 steps: the mean loss since the last one, and when the training will be over. */
function progress(steps: number, losses: number[]): (step: TrainingStep) => void {
  const every = 25;
  const started = performance.now();
  return ({ step, loss, rate }) => {
    losses.push(loss);
    if (step % every !== 0 && step !== steps) return;
    const recent = losses.slice(-every);
    const mean = recent.reduce((total, value) => total + value, 0) / recent.length;
    const seconds = (performance.now() - started) / 1000;
    const left = Math.round((seconds / step) * (steps - step));
    console.error(
      `step ${step}/${steps}  loss ${mean.toFixed(4)}  rate ${rate.toExponential(2)}  ${Math.round(seconds)} s, ${left} s left`,
    );
  };
}
