import { elementsOf, refuseExisting } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { silent } from '../events.js';
import { mixOf } from '../ggml/index.js';
import { add, type CastCounts, noCounts } from '../translation/index.js';
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
  refuseBlocksElsewhere(options);
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

function refuseBlocksElsewhere({ out, mix, dtype, imatrix }: ConvertOptions): void {
  if (mix !== undefined && dtype !== undefined)
    throw new RangeError('Weights become a float type or blocks, not both.');
  if (mix !== undefined && !isGgufName(out)) {
    throw new BirdboneError('usage', `${mix.toLowerCase()} is made of ggml's block types, and only a GGUF has those.`, {
      suggestions: [`--out ${out}.gguf`],
    });
  }
  if (imatrix !== undefined && mix === undefined) {
    throw new BirdboneError('usage', 'An importance matrix is of use only where weights are rounded to blocks.', {
      suggestions: ['--dtype q4_k_m'],
    });
  }
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
  const cast = written ? castReport(view.counts, options) : undefined;
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const elements = tensors.reduce((sum, { shape }) => sum + elementsOf(shape), 0);
  return {
    model: options.model,
    out: options.out,
    written,
    from: source.checkpoint.format,
    to,
    bytes,
    ...(options.mix !== undefined && { mix: mixOf(options.mix).name, bitsPerWeight: (8 * bytes) / elements }),
    tensors,
    ...(cast && { cast }),
    ...(tokenizer && { tokenizer }),
    lost,
  };
}

function castReport(counts: ReadonlyMap<string, CastCounts>, { dtype, mix }: ConvertOptions): CastReport | undefined {
  if (counts.size === 0) return undefined;
  const total = [...counts.values()].reduce(add, noCounts());
  // Beside blocks, what was cast are a few vectors: worth a word only where that changed something.
  if (mix !== undefined && total.changed === 0 && total.nan === 0) return undefined;
  const touched = [...counts].filter(([, { changed, nan }]) => changed > 0 || nan > 0);
  return { ...(dtype && { dtype }), total, tensors: Object.fromEntries(touched) };
}
