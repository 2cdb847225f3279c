import type { Checkpoint, JsonObject } from '../checkpoint/index.js';
import type { CodedView } from '../coding/index.js';
import { asStored, stripView, type ViewedTensor } from './strips.js';

export interface Published {
  /** The tensors that stand for the coded weights. */
  readonly tensors: readonly ViewedTensor[];
  /** The model's config.json with what the engine must know. */
  readonly config: JsonObject;
  /** Other files by name. */
  readonly files?: Readonly<Record<string, JsonObject>>;
  readonly notices?: readonly string[];
}

/** Files in which other layouts say what config.json says: beside a new config.json they would contradict it. */
const QUANTIZATION_FILES = ['quantize_config.json', 'quant_config.json'];

/** The model with these tensors in place of its coded weights and their parts; all others as they are stored. */
export function published(view: CodedView, { tensors, config, files = {}, notices = [] }: Published): Checkpoint {
  const dense = [...view.tensors.values()].filter(({ name }) => !view.coded.has(name)).map(asStored);
  const texts = Object.entries({ 'config.json': config, ...files }).map(
    ([name, json]) => [name, textOf(json)] as const,
  );
  const checkpoint = stripView(view.raw, [...dense, ...tensors]);
  return {
    ...checkpoint,
    // transformers loads no file that does not say which framework's tensors it has.
    metadata: { ...checkpoint.metadata, format: 'pt' },
    companions: new Map([...(view.companions ?? []), ...texts]),
    outdated: [...(view.outdated ?? []), ...QUANTIZATION_FILES.filter((name) => !(name in files))],
    notices: [...(view.notices ?? []), ...notices],
  };
}

function textOf(json: JsonObject): string {
  return `${JSON.stringify(json, undefined, 2)}\n`;
}
