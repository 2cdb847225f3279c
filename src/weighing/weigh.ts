import { stat } from 'node:fs/promises';
import path from 'node:path';
import { refuseExisting } from '../checkpoint/index.js';
import { readCalibration } from '../corpus/index.js';
import { BirdboneError } from '../errors.js';
import type { Report } from '../events.js';
import { writeImatrix } from '../imatrix/index.js';
import { type LinearSpec, loadTokenizer, type Model, openModel } from '../model/index.js';
import { type DeviceChoice, openDevice } from '../tensor/index.js';
import { asGguf } from '../translation/index.js';
import { measureImportance } from './measure.js';

/** Which model to measure on which text, into which file. */
export interface WeighOptions {
  readonly model: string;
  /** A file that ends in .gguf; must not exist. */
  readonly out: string;
  readonly calibration: { readonly file: string; readonly windows: number; readonly context: number };
  readonly device?: DeviceChoice;
  readonly threads?: number;
  readonly memoryBytes?: number;
  /** Check everything, run nothing, write nothing. */
  readonly dryRun?: boolean;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** An importance matrix as it was written, or with `dryRun` would be. */
export interface Weighing {
  readonly model: string;
  readonly out: string;
  readonly written: boolean;
  readonly calibration: WeighOptions['calibration'] & { readonly sha256: string };
  readonly windows: number;
  readonly tokens: number;
  /** Tensors of the GGUF that it says something of; 0 for a dry run. */
  readonly entries: number;
}

/**
 * Measures how large the inputs of a model's matrices are on a text, and writes that as an importance matrix of llama.cpp's. Throws
 * `usage`, `unsupported` (a model that is not run, or has no names in GGUF), `unwritable`, `interrupted`; each leaves nothing behind.
 */
export async function weigh(options: WeighOptions): Promise<Weighing> {
  await refuseOutput(options.out);
  const model = await openModel(options.model);
  try {
    const { calibration: text } = options;
    const names = namesInGguf(model);
    const tokenizer = await loadTokenizer(options.model);
    const read = await readCalibration(text.file, tokenizer, { ...text, maxContext: model.decoder.maxContext });
    const { passages, source } = read;
    const result = {
      model: options.model,
      out: options.out,
      calibration: { ...text, sha256: source.sha256 },
      windows: passages.length,
      tokens: passages.reduce((sum, { ids }) => sum + ids.length, 0),
    };
    if (options.dryRun === true) return { ...result, written: false, entries: 0 };
    const device = await openDevice(
      options.device ?? 'auto',
      options.threads === undefined ? {} : { threads: options.threads },
    );
    try {
      for (const message of device.notices) options.report?.({ type: 'notice', message });
      const entries = await measureImportance(model, passages, names, { ...options, device });
      const datasets = [path.basename(text.file)];
      await refuseExisting(options.out);
      await writeImatrix(options.out, { entries, datasets, chunks: passages.length, chunkSize: text.context });
      return { ...result, written: true, entries: entries.size };
    } finally {
      await device.close();
    }
  } finally {
    await model.checkpoint.close();
  }
}

async function refuseOutput(out: string): Promise<void> {
  if (!out.toLowerCase().endsWith('.gguf')) {
    throw new BirdboneError('usage', `${out} is no name of an importance matrix. It must end in .gguf.`, {
      suggestions: [`--out ${path.basename(out, path.extname(out))}.gguf`],
    });
  }
  await refuseExisting(out);
  const folder = path.dirname(path.resolve(out));
  if ((await stat(folder).catch(() => undefined))?.isDirectory()) return;
  throw new BirdboneError('usage', `${out} cannot be written: ${folder} is no folder.`, {
    suggestions: [`Make it first: mkdir -p ${folder}`],
  });
}

/** Which tensor of the GGUF a linear is, or is an expert of. Throws `unsupported` for a model that has no GGUF. */
function namesInGguf({ checkpoint, decoder }: Model): (linear: LinearSpec) => string | undefined {
  const { storedNames } = asGguf(checkpoint, decoder, '');
  const ggufNames = new Map([...storedNames].map(([gguf, stored]) => [stored, gguf]));
  const byLinear = new Map<LinearSpec, string>();
  for (const { linears } of decoder.blocks) {
    for (const linear of linears) {
      // Experts share the tensor that is called by the first.
      const first =
        linear.expert === undefined ? linear : linears.find(({ role, expert }) => role === linear.role && expert === 0);
      const name = first && ggufNames.get(first.weight);
      if (name !== undefined) byLinear.set(linear, name);
    }
  }
  return (linear) => byLinear.get(linear);
}
