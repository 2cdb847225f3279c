import { parseArgs } from 'node:util';
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

/** The flags of a comparison. */
export const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    missing: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    model: { type: 'string', default: 'tinystories-656k' },
    windows: { type: 'string' },
  },
});

interface Named {
  readonly name: string;
}

/** Compares what the flags choose of these, on the model and as many windows of its text as they say; nothing with `--render`. */
export async function compareEach<Variant extends Named>(
  variants: readonly Variant[],
  kept: () => readonly (Named & { readonly model: string })[],
  compare: (variant: Variant, on: ComparedModel) => Promise<void>,
): Promise<void> {
  if (options.render) return;
  await withCompared(async (on) => {
    for (const variant of variants) {
      if (!options.only.every((part) => variant.name.includes(part))) continue;
      const isThere = kept().some(({ name, model }) => name === variant.name && model === options.model);
      if (!options.missing || !isThere) await compare(variant, on);
    }
  });
}

async function withCompared(work: (compared: ComparedModel) => Promise<void>): Promise<void> {
  if (sharedMissing !== undefined) throw new Error(`nothing to compare on: ${sharedMissing}`);
  const { model: name, windows } = options;
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
