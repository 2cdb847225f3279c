import path from 'node:path';
import { type Checkpoint, type JsonObject, readJsonObject } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';
import { architectures, type Decoder, describeModel, folderOf, type Model } from '../../model/index.js';
import { type Marks, type PlateGraph, plateGraph } from '../../plates/index.js';
import { cutVocabularyFiles, newIdsOf, readVocabularyFiles, STALE_FILES, withNewIds } from '../../vocabulary/index.js';
import { biasKeys, hasUnsaidBiases, MISTRAL_NOTICE, withPlaceForBiases, withZeroBiases } from './added-biases.js';
import { BLOCK_CONFIGS_NOTICE, blockConfigs } from './block-configs.js';
import { cutTensors } from './cut-tensors.js';
import { type CutTensor, gatheredView } from './gathered-view.js';
import { type Cut, ownConfig } from './own-config.js';
import { refuseOtherFunction } from './same-function.js';
import { type GainScale, normCorrection, withScaledGains } from './scaled-gains.js';
import { isUniform, type ModelWidths, widthsWithout } from './widths.js';

/** A config.json is a few kilobytes; label tables of odd ones reach some hundred. */
const MAX_CONFIG_BYTES = 2 ** 20;

/**
 * The model without its marked plates: a view with physically smaller tensors, blocks numbered through, and among its companions
 * the config.json that says so. It computes what the model computes with those plates at zero. Nothing is read of the weights
 * before they are asked for; the same model and marks give the same bytes. Closing it closes the model's checkpoint.
 *
 * Blocks of equal widths stay what they are (llama, qwen2 …); others become DeciLM's `block_configs`, with a notice. Biases that waves
 * have added are said, and where the config speaks of more linears than have one, the others get zeros. Throws `unsupported` where no
 * config can say what is left.
 */
export async function cutModel(model: Model, marks: Marks): Promise<Checkpoint> {
  if (marks.isEmpty && !(await hasAddedBiases(model))) return model.checkpoint;
  const graph = plateGraph(model.decoder);
  const { config, view } = await planCut(model, marks, graph);
  const { companions: own = [], outdated = [] } = model.checkpoint;
  const newIds = newIdsWithout(marks, graph);
  const vocabulary = newIds && cutVocabularyFiles(await readVocabularyFiles(model.checkpoint), newIds);
  return {
    ...view,
    companions: new Map([...own, ...(vocabulary ?? []), ['config.json', configText(config)]]),
    outdated: [...outdated, ...(newIds ? STALE_FILES : [])],
  };
}

async function hasAddedBiases({ checkpoint, decoder }: Model): Promise<boolean> {
  if (decoder.refusal !== undefined) return false;
  const architecture = await architectures.load(decoder.architecture);
  return hasUnsaidBiases({ decoder, architecture, config: await configOf(checkpoint) });
}

/** Throws, before any weight is read, what `cutModel` would throw. */
export async function refuseUncuttable(model: Model, marks: Marks): Promise<void> {
  if (!marks.isEmpty) await planCut(model, marks, plateGraph(model.decoder));
}

async function planCut(
  model: Model,
  marks: Marks,
  graph: PlateGraph,
): Promise<{ readonly config: JsonObject; readonly view: Checkpoint }> {
  const { checkpoint, decoder } = model;
  const widths = widthsWithout(graph, marks);
  refuseUncorrectable(model, widths);
  refuseLeftBiases(graph, marks, widths);
  const architecture = await architectures.load(decoder.architecture);
  const stored: Cut = { config: await configOf(checkpoint), architecture, decoder, widths };
  const cut = hasUnsaidBiases(stored) ? await withPlaceForBiases(stored) : stored;
  const uniform = isUniform(widths) && decoder.architecture !== 'nemotron-nas';
  const newIds = newIdsWithout(marks, graph);
  const sized = { ...(uniform ? ownConfig(cut) : blockConfigs(cut)), ...biasKeys(cut) };
  const config = newIds === undefined ? sized : withNewIds(sized, newIds);
  const entries = cutTensors(graph, marks, widths);
  const view = withZeroBiases(withScaledGains(named(checkpoint, entries), gainScales(graph, widths, entries)), cut);
  const after = await describeModel(view, config);
  refuseOtherFunction(newIds === undefined ? decoder : withTokenIds(decoder, newIds), after, widths);
  const notices = [
    ...(checkpoint.notices ?? []),
    ...(uniform ? [] : [BLOCK_CONFIGS_NOTICE]),
    ...(uniform && cut.architecture !== architecture ? [MISTRAL_NOTICE] : []),
  ];
  return { config, view: { ...view, notices } };
}

/** The ids of the tokens that stay, where some go. */
function newIdsWithout(marks: Marks, { decoder }: PlateGraph): Int32Array | undefined {
  return marks.indices('vocabulary').length === 0 ? undefined : newIdsOf(marks, decoder.vocabulary);
}

function withTokenIds(decoder: Decoder, newIds: Int32Array): Decoder {
  const { bosTokenId, eosTokenIds } = decoder;
  return {
    ...decoder,
    ...(bosTokenId !== undefined && { bosTokenId: newIds[bosTokenId] ?? bosTokenId }),
    eosTokenIds: eosTokenIds.map((id) => newIds[id] ?? id),
  };
}

/** LayerNorm subtracts a mean over all dimensions, and no gain makes up for that of fewer. */
function refuseUncorrectable({ decoder }: Model, widths: ModelWidths): void {
  if (widths.hidden === decoder.hidden || decoder.norm !== 'layer') return;
  throw new BirdboneError(
    'unsupported',
    `Hidden dimensions of a ${decoder.architecture} model cannot be shed: its LayerNorm would subtract the mean of fewer dimensions.`,
    { suggestions: ['Shed channels of its feed-forward networks: --plates ffn'] },
  );
}

/** What all groups or all channels shed one by one leave of a sub-block is its bias, which would go on being added. */
function refuseLeftBiases({ decoder }: PlateGraph, marks: Marks, { blocks }: ModelWidths): void {
  const left = new Map(blocks.map((block) => [block.block, block]));
  for (const { index, linears } of decoder.blocks) {
    if (marks.has(`block:${index}`)) continue;
    for (const [kind, role] of [
      ['attention', 'o'],
      ['ffn', 'down'],
    ] as const) {
      const width = kind === 'attention' ? left.get(index)?.heads : left.get(index)?.ffn;
      const bias = linears.find((linear) => linear.role === role)?.bias;
      if ((width ?? 0) > 0 || bias === undefined || marks.has(`${kind}:${index}`)) continue;
      throw new BirdboneError(
        'unsupported',
        `Nothing is left of ${kind}:${index} but ${bias}, which no config can say.`,
        {
          tensor: bias,
          suggestions: [`Shed ${kind}:${index} as a whole.`],
        },
      );
    }
  }
}

/** The view under the source's aliases and metadata, as far as they speak of tensors that keep their names. */
function named(source: Checkpoint, entries: ReadonlyMap<string, CutTensor>): Checkpoint {
  const view = gatheredView(source, entries);
  const stays = (name: string) => entries.get(name)?.stored === name;
  const aliases = new Map([...source.aliases].filter(([alias, name]) => stays(name) && !entries.has(alias)));
  const metadata = Object.entries(source.metadata).filter(([key]) => !source.aliases.has(key) || aliases.has(key));
  return {
    ...view,
    aliases,
    metadata: Object.fromEntries(metadata),
    read: (name, range) => view.read(aliases.get(name) ?? name, range),
  };
}

/** The gains that fewer hidden dimensions ask for; none where all stay. */
function gainScales(
  graph: PlateGraph,
  { hidden }: ModelWidths,
  entries: ReadonlyMap<string, CutTensor>,
): ReadonlyMap<string, GainScale> {
  const { decoder } = graph;
  if (hidden === decoder.hidden) return new Map();
  const gains = new Set([decoder.finalNorm, ...graph.blocks.flatMap(({ hiddenVectors }) => hiddenVectors)]);
  const scale: GainScale = {
    factor: normCorrection(decoder.hidden, hidden).gain,
    offset: decoder.norm === 'rms-plus-one' ? 1 : 0,
  };
  return new Map([...entries].flatMap(([name, { stored }]) => (gains.has(stored) ? [[name, scale] as const] : [])));
}

async function configOf({ companions, path: at }: Checkpoint): Promise<JsonObject> {
  const inside = companions?.get('config.json');
  if (inside !== undefined) return JSON.parse(inside) as JsonObject;
  const file = path.join(await folderOf(at), 'config.json');
  return readJsonObject(file, { maxBytes: MAX_CONFIG_BYTES, strict: true });
}

function configText(config: JsonObject): string {
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
