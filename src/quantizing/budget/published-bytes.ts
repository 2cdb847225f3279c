import { basename } from 'node:path';
import { type Checkpoint, rangeWithin, type TensorInfo } from '../../checkpoint/index.js';
import type { CodedView } from '../../coding/index.js';
import { ggufBytes, modelAsGguf } from '../../conversion/index.js';
import { type LayoutExtras, layouts } from '../../layouts/index.js';
import { folderOf, type Model } from '../../model/index.js';
import type { SettleContext } from '../../pruning/index.js';
import type { Format } from '../formats.js';
import { type MatrixForm, recordOfMatrix, tensorsOf } from '../forms.js';
import { manifestBytes } from './manifest-bytes.js';

/** What decides a size besides forms. */
export interface PublishedOptions {
  readonly format: Format;
  readonly hasCacheScales: boolean;
  /** Waves before this one, which a GGUF's own manifest tells of. */
  readonly earlier?: SettleContext['earlier'];
}

/**
 * Bytes that are published when a model's matrices get these forms: of a folder, all tensors, to the last byte, with what engines want
 * beside codes and scales; of a GGUF the whole file, with tokenizer, metadata and padding to the last byte, and as much for the
 * manifest inside it as it can take. Reads no weights. Throws what llama.cpp would not load.
 */
export async function publishedBytes(
  model: Model,
  forms: readonly MatrixForm[],
  { format, hasCacheScales, earlier = [] }: PublishedOptions,
): Promise<number> {
  const raw = plannedCheckpoint(model.checkpoint, forms);
  if (format === 'gguf') return ggufFileBytes({ ...model, checkpoint: raw }, forms, earlier);
  const extras = hasCacheScales ? { kvScales: cacheScalesOf(model) } : {};
  return bytesOf(await publishedView({ ...model, checkpoint: raw }, forms, { format, extras }));
}

async function ggufFileBytes(
  model: Model,
  forms: readonly MatrixForm[],
  earlier: NonNullable<PublishedOptions['earlier']>,
): Promise<number> {
  const { path, companions } = model.checkpoint;
  // A GGUF has its tokenizer inside; what lies beside it is not its own (src/waves/base.ts).
  const folder = companions === undefined ? await folderOf(path) : path;
  const content = await modelAsGguf(model, { folder, file: basename(path) });
  return ggufBytes(content) + manifestBytes(content.view.tensors.values(), forms, earlier);
}

async function publishedView(
  { checkpoint: raw, decoder }: Model,
  forms: readonly MatrixForm[],
  { format, extras }: { readonly format: Exclude<Format, 'gguf'>; readonly extras: LayoutExtras },
): Promise<Pick<Checkpoint, 'tensors'>> {
  if (format === 'native') return raw;
  const coded = new Map(
    forms.flatMap((matrix) => {
      const record = recordOfMatrix(matrix);
      return record === undefined ? [] : [[matrix.weight, record] as const];
    }),
  );
  if (coded.size === 0) return raw;
  const view: CodedView = { ...raw, tensors: shownTensors(raw, forms), raw, coded };
  return (await layouts.load(format)).write(view, { decoder }, {}, extras);
}

/** The checkpoint as an edit's layer will make it; what is not there yet reads as zeros. */
function plannedCheckpoint(base: Checkpoint, forms: readonly MatrixForm[]): Checkpoint {
  const planned = new Map(forms.flatMap(tensorsOf).map((info) => [info.name, info]));
  return {
    ...base,
    tensors: new Map([...base.tensors, ...planned]),
    async read(name, range) {
      const info = planned.get(base.aliases.get(name) ?? name);
      return info === undefined ? base.read(name, range) : new Uint8Array(rangeWithin(info, range).length);
    },
  };
}

/** The tensors as a model has them: a coded weight is one of F32, and its parts are not there. */
function shownTensors({ tensors }: Checkpoint, forms: readonly MatrixForm[]): ReadonlyMap<string, TensorInfo> {
  const shown = new Map(tensors);
  for (const matrix of forms) {
    if (recordOfMatrix(matrix) === undefined) continue;
    for (const { name } of tensorsOf(matrix)) shown.delete(name);
    const { weight: name, rows, columns } = matrix;
    shown.set(name, { name, dtype: 'F32', shape: [rows, columns], byteLength: 4 * rows * columns });
  }
  return shown;
}

/** Scales take as much room whatever they are. */
function cacheScalesOf({ decoder }: Model): NonNullable<LayoutExtras['kvScales']> {
  return new Map(decoder.blocks.map(({ index }) => [index, { k: 1, v: 1 }]));
}

function bytesOf({ tensors }: Pick<Checkpoint, 'tensors'>): number {
  return [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}
