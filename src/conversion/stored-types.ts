import type { Checkpoint, GgufMetadata, GgufValue, TensorInfo } from '../checkpoint/index.js';
import { type EncodableDtype, mixOf, openRowEncoder } from '../ggml/index.js';
import { type CastTarget, type CastView, castView } from '../translation/index.js';
import { blockTypes } from './block-types.js';
import type { ConvertOptions } from './conversion.js';
import { encodedView } from './encoded-view.js';
import { fileType } from './file-type.js';
import { type Importance, loadImportance } from './importance.js';

/** A GGUF's tensors in the types in which they are written. */
export interface StoredTypes {
  readonly view: CastView;
  /** What the metadata say of the types. */
  readonly metadata: readonly (readonly [string, GgufValue])[];
  readonly notices: readonly string[];
  /** Ends the threads that encode; the view is of no use afterwards. */
  close(): Promise<void>;
}

/**
 * Returns a GGUF's tensors cast to a float type or, where a mix is asked for, encoded in blocks while they are read. `castOf` says
 * what becomes of tensors that are not for blocks. Throws as `blockTypes` and `loadImportance`.
 */
export async function storedTypes(
  gguf: Checkpoint,
  metadata: GgufMetadata,
  options: ConvertOptions,
  castOf: (info: TensorInfo) => CastTarget | undefined,
): Promise<StoredTypes> {
  if (options.mix === undefined) {
    const view = castView(gguf, castOf);
    const entries = [['general.file_type', { type: 'u32', value: fileType(view.tensors.values()) }]] as const;
    return { view, metadata: entries, notices: [], close: async () => {} };
  }
  const importance = options.imatrix === undefined ? undefined : await loadImportance(options.imatrix, gguf);
  const types = blockTypes(gguf, metadata, { mix: mixOf(options.mix), weighted: importance !== undefined });
  const cast = castView(gguf, (info) => (types.choices.get(info.name)?.dtype === 'F16' ? 'F16' : castOf(info)));
  const dtypes = new Map(
    [...types.choices].flatMap(([name, { dtype }]): [string, EncodableDtype][] =>
      dtype === 'F16' || dtype === gguf.tensors.get(name)!.dtype ? [] : [[name, dtype]],
    ),
  );
  const encoder = openRowEncoder();
  const view = encodedView(cast, { dtypes, encoder, ...(importance && { weights: importance.weights }) });
  return {
    view: { ...view, counts: cast.counts },
    metadata: [...types.metadata, ...(importance?.metadata ?? [])],
    notices: [...types.notices, ...withoutWeights(importance, dtypes)],
    close: () => encoder.close(),
  };
}

/** ggml's own guess stands in for weights that a matrix does not have. */
function withoutWeights(importance: Importance | undefined, dtypes: ReadonlyMap<string, EncodableDtype>): string[] {
  if (importance === undefined) return [];
  const missing = [...dtypes.keys()].filter((name) => !importance.weights.has(name));
  if (missing.length === 0) return [];
  return [`The importance matrix says nothing of ${missing.join(', ')}.`];
}
