import type { LayerPlan } from '../checkpoint/index.js';
import type { KnownDifferences } from '../differences/index.js';
import { Marks } from '../plates/index.js';
import type { Edit, Proposal, SettleContext } from '../pruning/index.js';
import { type History, progressPlace, type WaveJournalRecord } from '../state/index.js';
import { openStoredLayer, StoredLayerWriter } from '../store/index.js';
import { decisionsOf } from './decisions.js';
import { carryOver, mergedPlan } from './followed-layer.js';
import { digestsThrough } from './known.js';
import { marksOf, sparedOf } from './marks.js';
import { heldAgainst } from './reference-model.js';
import type { Session, WaveLayer } from './session.js';
import { isCut, type StackedModel, stacked } from './stack.js';
import type { WaveSettings } from './wave.js';

/** A layer in the store, not yet kept. */
export interface Proposed {
  /** The name of its object. */
  readonly sha256: string;
  /** What it was announced to hold. */
  readonly plan: LayerPlan;
  readonly shed: Marks;
  readonly details: WaveJournalRecord['details'];
  readonly differences: KnownDifferences | undefined;
  readonly removed: Proposal['removed'];
  /** Why it falls short of what it was to do. */
  readonly limit: string | undefined;
  /** Layers that it was made of and that nothing needs besides it. */
  readonly steps: readonly string[];
}

/** What a wave is proposed over: the base through the waves kept so far. */
export interface Before {
  readonly model: StackedModel;
  readonly layers: readonly WaveLayer[];
  readonly past: History;
}

/** The edit's layer over what was kept before; one layer for it and what follows it, where something does. */
export async function propose(settings: WaveSettings, before: Before, session: Session): Promise<Proposed> {
  const { edit } = settings;
  const context = await contextOf(settings, before, session);
  const first = await proposeOne(edit, { settings, before, context }, session);
  if (edit.followedBy === undefined || first.limit !== undefined) return first;
  return proposeFollowed(first, edit.followedBy, { settings, before, context }, session);
}

/** What an edit of the wave works with. */
interface Work {
  readonly settings: WaveSettings;
  readonly before: Before;
  readonly context: SettleContext;
}

async function contextOf(
  { edit, wave, target }: WaveSettings,
  { model, layers, past }: Before,
  session: Session,
): Promise<SettleContext> {
  const { inputs, folder, device, memoryBytes, report, signal } = session;
  // Plates that are cut out are none of the model's any more.
  const isSmaller = isCutFor(edit, layers);
  const isBase = layers.length === 0 && edit.followedBy === undefined;
  return {
    model,
    ...(!isSmaller && { dense: heldAgainst(inputs) }),
    seed: inputs.recipe.seed,
    device,
    target,
    calibration: inputs.calibration?.passages ?? [],
    ...(inputs.evaluation && { evaluation: inputs.evaluation.passages }),
    marks: isSmaller ? Marks.none : marksOf(past, model),
    spared: isSmaller ? Marks.none : sparedOf(past, model),
    memoryBytes,
    spillFolder: folder.spill,
    progress: await progressPlace(folder, wave),
    decide: decisionsOf(session, wave),
    ...(isBase && { compared: true }),
    earlier: past.waves.flatMap(({ details }) => (details === undefined ? [] : [details])),
    report,
    ...(signal && { signal }),
  };
}

function isCutFor(edit: Edit, layers: readonly WaveLayer[]): boolean {
  return edit.shapes === 'final' && isCut(layers);
}

async function proposeOne(unsettled: Edit, work: Work, session: Session): Promise<Proposed> {
  const { context } = work;
  const edit = (await unsettled.settle?.(context)) ?? unsettled;
  const plan = edit.plan(context.model);
  const { sha256, proposal } = await write(plan, work, session, (writer) => edit.propose({ ...context, writer }));
  const { marks: shed = Marks.none, details, differences, removed, limit } = proposal ?? {};
  return { sha256, plan, shed, details, differences, removed, limit, steps: [] };
}

/** What follows a proposal is proposed over it; what both have changed is one layer over the state before them. */
async function proposeFollowed(first: Proposed, follower: Edit, work: Work, session: Session): Promise<Proposed> {
  const { before, context } = work;
  const { known, inputs } = session;
  const layer = await openStoredLayer(known.store, first.sha256);
  const model = await stacked(inputs.model, [...before.layers, layer]);
  const over = { ...context, model, marks: context.marks.with(first.shed) };
  const edit = (await follower.settle?.(over)) ?? follower;
  const own = edit.plan(model);
  const plan = mergedPlan(first.plan, own);
  const { sha256, proposal } = await write(plan, work, session, async (writer) => {
    const found = await edit.propose({ ...over, writer });
    await carryOver({ plan: first.plan, layer, seen: model.checkpoint.raw }, own, writer);
    return found;
  });
  const details = { ...first.details, ...proposal?.details };
  return { ...first, sha256, plan, details, steps: [first.sha256] };
}

/** Has a layer written over the state before the wave. */
async function write(
  plan: LayerPlan,
  { settings, before: { model, layers } }: Work,
  { known }: Session,
  // biome-ignore lint/suspicious/noConfusingVoidType: as Edit.propose.
  fill: (writer: StoredLayerWriter) => Promise<Proposal | void>,
  // biome-ignore lint/suspicious/noConfusingVoidType: as Edit.propose.
): Promise<{ readonly sha256: string; readonly proposal: Proposal | void }> {
  const isSmaller = isCutFor(settings.edit, layers);
  const over = isSmaller ? layers.filter(({ shapes }) => shapes === 'final') : layers;
  // What is cut has digests that nobody has taken.
  const digests = isSmaller ? {} : { digests: digestsThrough(known, layers) };
  const before = { checkpoint: model.checkpoint.raw, layers: over, ...digests };
  const writer = new StoredLayerWriter(known.store, { wave: settings.wave, plan, before });
  try {
    const proposal = await fill(writer);
    return { sha256: (await writer.commit()).id, proposal };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
