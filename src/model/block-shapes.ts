import type { Architecture } from './architecture.js';
import { disagreement, unsupportedValue } from './config-errors.js';
import { spelled } from './config-keys.js';
import type { ConfigValues } from './config-schema.js';
import type { BlockShape, Rope } from './decoder.js';
import type { Ropes } from './rope-config.js';

interface ReadContext {
  readonly file: string;
  readonly ropes: Ropes;
}

/**
 * Returns the shape of each block, as the common keys and then the architecture's own rule have it. Throws `unreadable` for sizes
 * that contradict each other, `unsupported` for kinds of layers that are not run.
 */
export function blockShapes(values: ConfigValues, architecture: Architecture, context: ReadContext): BlockShape[] {
  const plain = plainShape(values, architecture, context);
  const windows = windowsOf(values, architecture, context.file);
  return windows.map((slidingWindow, index) => {
    const kind = slidingWindow === undefined ? 'full' : 'sliding';
    const block = {
      ...plain,
      ...(slidingWindow !== undefined && { slidingWindow }),
      ...(!architecture.learnedPositions && { rope: rotationOf(plain, kind, context) }),
    };
    return architecture.block?.(values, index, block, context.file) ?? block;
  });
}

function plainShape(values: ConfigValues, architecture: Architecture, { file }: ReadContext): BlockShape {
  const name = (key: Parameters<typeof spelled>[0]) => spelled(key, architecture);
  const heads = values.num_attention_heads;
  const kvHeads = values.num_key_value_heads ?? heads;
  if (heads % kvHeads !== 0) {
    const [all, shared] = [name('num_attention_heads'), name('num_key_value_heads')];
    throw disagreement(file, `${all} (${heads}) must be a multiple of ${shared} (${kvHeads})`);
  }
  if (values.head_dim == null && values.hidden_size % heads !== 0) {
    const [width, count] = [name('hidden_size'), name('num_attention_heads')];
    throw disagreement(
      file,
      `without ${name('head_dim')}, ${width} (${values.hidden_size}) must be a multiple of ${count} (${heads})`,
    );
  }
  const headDim = values.head_dim ?? values.hidden_size / heads;
  const ffn = values.intermediate_size ?? architecture.ffnWidth?.(values);
  if (ffn === undefined) throw disagreement(file, `${name('intermediate_size')} is missing`);
  return { attention: true, feedForward: true, heads, kvHeads, headDim, ffn };
}

function rotationOf({ headDim }: BlockShape, kind: keyof Ropes, { file, ropes }: ReadContext): Rope {
  const { theta, scaling, share } = ropes[kind];
  const dimensions = Math.trunc(headDim * share);
  if (dimensions % 2 !== 0 || dimensions === 0) {
    throw disagreement(file, `rotary embedding needs an even head_dim, not ${dimensions}`);
  }
  if (scaling.kind === 'longrope') {
    for (const factors of [scaling.shortFactors, scaling.longFactors]) {
      if (factors.length === dimensions / 2) continue;
      throw disagreement(file, `rope_scaling has ${factors.length} factors for ${dimensions / 2} pairs`);
    }
  }
  return { theta, scaling, dimensions };
}

/** The window of each block; undefined for one that attends to everything. */
function windowsOf(values: ConfigValues, architecture: Architecture, file: string): (number | undefined)[] {
  const { slides = () => false, keys } = architecture;
  const on = !keys.includes('use_sliding_window') || values.use_sliding_window === true;
  const window = (on ? values.sliding_window : null) ?? undefined;
  const sliding = Array.from({ length: values.num_hidden_layers }, (_, i) => window !== undefined && slides(values, i));
  const types = values.layer_types ?? undefined;
  if (types === undefined) return sliding.map((is) => (is ? window : undefined));
  if (!architecture.readsLayerTypes) refuseOtherTypes(types, sliding, file);
  return typedWindows(types, { window, layers: sliding.length, file });
}

/** Architectures whose code does not look at `layer_types`: it may only say what is so anyway. */
function refuseOtherTypes(types: readonly string[], sliding: readonly boolean[], file: string): void {
  const only = sliding[0] ? 'sliding_attention' : 'full_attention';
  if (types.some((type) => type !== only)) {
    throw unsupportedValue(file, 'layer_types', types, [[`${only} for every layer`]]);
  }
}

function typedWindows(
  types: readonly string[],
  { window, layers, file }: { readonly window: number | undefined; readonly layers: number; readonly file: string },
): (number | undefined)[] {
  if (types.length !== layers) {
    throw disagreement(file, `layer_types has ${types.length} entries for ${layers} layers`);
  }
  return types.map((type) => {
    if (type === 'full_attention') return undefined;
    if (type !== 'sliding_attention') {
      throw unsupportedValue(file, 'layer_types', type, ['full_attention', 'sliding_attention']);
    }
    if (window === undefined) throw disagreement(file, 'layer_types slides a window, and there is no sliding_window');
    return window;
  });
}
