import path from 'node:path';
import { type Checkpoint, GGUF_MANIFEST_KEY, ggufTexts, writeCheckpoint } from '../checkpoint/index.js';
import { modelAsGguf, writeGguf } from '../conversion/index.js';
import { type Report, silent } from '../events.js';
import { type LayoutExtras, layouts } from '../layouts/index.js';
import {
  type HashOptions,
  hashCheckpoint,
  hashWhileRead,
  MANIFEST_FILE,
  type WeightHashes,
} from '../manifest/index.js';
import { configOf } from '../model/index.js';
import { outputFormat, type Recipe } from '../recipe.js';
import type { History } from '../state/index.js';
import { layoutExtras } from './layout-extras.js';
import type { StackedModel } from './stack.js';

/** A state of a run in the form in which it is published. */
export interface OutputForm {
  /** What will be read of it, tensor by tensor: what its hashes are of. */
  readonly checkpoint: Checkpoint;
  /** Whether that is what the layers store, as it is. */
  readonly asStored: boolean;
  /** What a user should know of it, a sentence each. */
  readonly notices: readonly string[];
  /**
   * Writes it under a name where nothing is (an empty folder may be), whole and on disk when it returns. When it throws, what is
   * there is unfinished, for the caller to remove. `manifest` is asked once, for the manifest of a checkpoint of these hashes: of a
   * folder when its tensors are written, and hashed on the way.
   */
  write(place: string, manifest: ManifestText, options: WatchOptions): Promise<void>;
}

/** The text of a manifest. */
export type ManifestText = (hashes: WeightHashes) => Promise<string>;

type WatchOptions = HashOptions & { readonly report?: Report };

/** A state of a run, and where its base's other files lie. */
export interface PublishedState {
  readonly past: History;
  /** Through its layers, with shed plates cut out. */
  readonly model: StackedModel;
  /** Folder of config, tokenizer and other files; the file itself for a GGUF. */
  readonly folder: string;
}

/**
 * The form that the recipe's `output` names. Reads no weights before it is read or written. Throws what an engine's layout refuses of
 * the model.
 */
export async function outputForm(state: PublishedState): Promise<OutputForm> {
  const { recipe } = state.past.begin!;
  const format = outputFormat(recipe);
  if (format === 'gguf') return ggufForm(state, recipe);
  const { model, folder } = state;
  const seen = { ...model.checkpoint, path: folder };
  const isPlain = isStoredForm(state.past, model);
  const checkpoint = isPlain
    ? { ...model.checkpoint.raw, path: folder }
    : { ...(await inLayout(format, seen, state)), path: folder };
  const notices =
    format !== 'native' && isPlain
      ? [`No weight is quantized, so there is nothing for the format ${format} to say.`]
      : [];
  return {
    checkpoint,
    asStored: isPlain,
    notices: [...notices, ...(checkpoint.notices ?? [])],
    async write(place, manifest, options) {
      const reading = hashWhileRead(checkpoint);
      try {
        await writeCheckpoint(reading.checkpoint, place, {
          carryFrom: folder,
          maxShardBytes: recipe.maxShardBytes,
          lastFiles: async () => ({ [MANIFEST_FILE]: await manifest(await reading.hashes(options)) }),
          ...options,
        });
      } finally {
        await reading.close();
      }
    },
  };
}

/** Whether a state is published as its layers store it. */
export function isStoredForm({ begin }: History, { checkpoint }: StackedModel): boolean {
  const format = outputFormat(begin!.recipe);
  return format !== 'gguf' && (format === 'native' || checkpoint.coded.size === 0);
}

async function inLayout(
  format: string,
  seen: StackedModel['checkpoint'],
  { model, past }: PublishedState,
): Promise<Checkpoint> {
  const layout = await layouts.load(format);
  const extras: LayoutExtras = layoutExtras(past);
  return layout.write(seen, model, await configOf(seen), extras);
}

async function ggufForm({ model, folder }: PublishedState, { out }: Recipe): Promise<OutputForm> {
  const stored = { ...model.checkpoint.raw, path: folder };
  const { view, order, metadata, notices } = await modelAsGguf(
    { ...model, checkpoint: stored },
    { folder, file: path.basename(out) },
  );
  // As the file will be read, so that its manifest can be held against it.
  const checkpoint: Checkpoint = {
    path: out,
    format: 'gguf',
    tensors: new Map([...view.tensors].sort(([left], [right]) => (left < right ? -1 : 1))),
    aliases: new Map(),
    metadata: ggufTexts(metadata),
    read: (name, range) => view.read(name, range),
    close: () => view.close(),
  };
  return {
    checkpoint,
    asStored: false,
    notices,
    async write(place, manifest, options) {
      const { report = silent, signal } = options;
      // It stands before the tensors.
      const value = await manifest(await hashCheckpoint(checkpoint, options));
      const withManifest = new Map([...metadata, [GGUF_MANIFEST_KEY, { type: 'string', value }] as const]);
      return writeGguf(place, { view, order, metadata: withManifest }, { report, signal });
    },
  };
}

/** Where the manifest of a result lies: in its folder, or inside the GGUF itself. */
export function manifestPlace(out: string, recipe: Pick<Recipe, 'out' | 'output'>): string {
  return outputFormat(recipe) === 'gguf' ? out : path.join(out, MANIFEST_FILE);
}
