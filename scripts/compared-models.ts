import { type Passage, readCalibration, readPassages } from '../src/corpus/index.js';
import { loadTokenizer, type Model, openModel } from '../src/model/index.js';
import { type Device, openDevice } from '../src/tensor/index.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';

const CALIBRATION_WINDOWS = 128;
const CONTEXT = 256;

/** A checkpoint that ways to compress it are held against one another on, with its texts in windows. */
export interface ComparedModel {
  readonly model: Model;
  readonly device: Device;
  readonly calibration: readonly Passage[];
  readonly passages: readonly Passage[];
}

/** Works on one of ../shared's checkpoints; `windows`: as many of the evaluation text's, all of them unless given. */
export async function withCompared(
  name: string,
  windows: string | undefined,
  work: (compared: ComparedModel) => Promise<void>,
): Promise<void> {
  if (sharedMissing !== undefined) throw new Error(`nothing to compare on: ${sharedMissing}`);
  const folder = sharedModel(name);
  const text = name.startsWith('novels') ? 'novels' : 'tinystories-1000';
  const tokenizer = await loadTokenizer(folder);
  const limits = { context: CONTEXT, maxContext: 512 };
  const sample = { ...limits, windows: CALIBRATION_WINDOWS };
  const { passages: calibration } = await readCalibration(sharedData(text, 'calibration.txt'), tokenizer, sample);
  const whole = { ...limits, protocol: 'windows' as const };
  const { passages: all } = await readPassages(sharedData(text, 'eval.txt'), tokenizer, whole);
  const passages = windows === undefined ? all : all.slice(0, Number(windows));
  const [model, device] = [await openModel(folder), await openDevice('cpu')];
  try {
    await work({ model, device, calibration, passages });
  } finally {
    await model.checkpoint.close();
    await device.close();
  }
}
