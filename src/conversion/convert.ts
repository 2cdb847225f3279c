import { refuseExisting } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { silent } from '../events.js';
import { add, type CastCounts, type CastTarget, noCounts } from '../translation/index.js';
import type { CastReport, Conversion, ConvertOptions } from './conversion.js';
import { prepareGgufCopy } from './copy-gguf.js';
import type { Prepared } from './prepared.js';
import { openSource, type Source } from './source.js';
import { prepareFolder } from './to-folder.js';
import { prepareGguf } from './to-gguf.js';

/**
 * Converts a model: to a GGUF where the output ends in .gguf, to a Hugging Face folder otherwise. The output appears whole or not at
 * all, and nothing that exists is replaced. Weights are read once, a chunk at a time. Everything that the target cannot say, and
 * every value that a cast changed, is in the result.
 *
 * Throws `usage` for an output that exists, `unsupported` and `unreadable` for what cannot be translated, `unwritable`, and
 * `interrupted` when the signal is aborted; each leaves nothing behind.
 */
export async function convert(options: ConvertOptions): Promise<Conversion> {
  refuseOtherFormats(options.out);
  await refuseExisting(options.out);
  const source = await openSource(options.model);
  try {
    const prepared = await prepare(source, options);
    const { report = silent, signal, dryRun = false } = options;
    if (!dryRun) await prepared.write({ report, signal });
    return describe(source, prepared, options);
  } finally {
    await source.checkpoint.close();
  }
}

async function prepare(source: Source, options: ConvertOptions): Promise<Prepared> {
  if (!isGgufName(options.out)) return prepareFolder(source, options);
  return source.isGguf ? prepareGgufCopy(source, options) : prepareGguf(source, options);
}

function isGgufName(out: string): boolean {
  return out.toLowerCase().endsWith('.gguf');
}

function refuseOtherFormats(out: string): void {
  const ending = /\.(?:safetensors|bin|pt|pth|th|ckpt|onnx|h5)$/i.exec(out)?.[0];
  if (ending === undefined) return;
  throw new BirdboneError('usage', `${out} ends in ${ending}. It must end in .gguf, or be the name of a folder.`, {
    suggestions: [`--out ${out.slice(0, -ending.length)} writes a folder with safetensors`],
  });
}

function describe(source: Source, prepared: Prepared, options: ConvertOptions): Conversion {
  const { view, to, storedDtype, lost, tokenizer } = prepared;
  const tensors = [...view.tensors.values()].map(({ name, dtype, shape, byteLength }) => ({
    name,
    from: storedDtype(name),
    to: dtype,
    shape,
    bytes: byteLength,
  }));
  const written = options.dryRun !== true;
  const cast = written ? castReport(view.counts, options.dtype) : undefined;
  return {
    model: options.model,
    out: options.out,
    written,
    from: source.checkpoint.format,
    to,
    bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    tensors,
    ...(cast && { cast }),
    ...(tokenizer && { tokenizer }),
    lost,
  };
}

function castReport(counts: ReadonlyMap<string, CastCounts>, dtype: CastTarget | undefined): CastReport | undefined {
  if (counts.size === 0) return undefined;
  const total = [...counts.values()].reduce(add, noCounts());
  const touched = [...counts].filter(([, { changed, nan }]) => changed > 0 || nan > 0);
  return { ...(dtype && { dtype }), total, tensors: Object.fromEntries(touched) };
}
