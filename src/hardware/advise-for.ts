import { BirdboneError } from '../errors.js';
import type { Model } from '../model/index.js';
import { choiceKey, type HardwareMemory, hardwareCacheFile, readHardwareCache, writeHardwareCache } from './cache.js';
import { type Choice, chooseStrategy, type Limits } from './choose.js';
import type { Profile } from './profile.js';
import { OWN_MACHINE, profiles } from './profiles.js';
import type { Situation } from './roofline.js';
import { machineKey, measureMachine, profileOfMachine } from './this-machine.js';

/** Tokens of a conversation that most people have. */
const DEFAULT_CONTEXT = 4096;

/** What a model is to be stored for. */
export interface Wish {
  /** A profile's name, or one that stands for the machine at hand. */
  readonly hardware: string;
  readonly limits: Limits;
  /** Tokens in the cache of each sequence; `DEFAULT_CONTEXT` unless given, or what the model was made for. */
  readonly context?: number | undefined;
  /** Sequences side by side; what is usual on that hardware unless given. */
  readonly batch?: number | undefined;
  /** Measure and choose anew. */
  readonly fresh?: boolean | undefined;
}

export interface Advised {
  readonly profile: Profile;
  readonly situation: Situation;
  readonly choice: Choice;
  /** Whether the same was asked before, and the answer kept. */
  readonly remembered: boolean;
}

/**
 * The strategy for a model on some hardware, from its shapes alone. What was chosen before for the same model, hardware and limits is
 * chosen again as long as it is within them; figures of the machine at hand are measured once. Both are kept in the user's cache folder.
 * Throws `usage` for more tokens than the model takes.
 */
export async function adviseFor(model: Model, wish: Wish): Promise<Advised> {
  const file = hardwareCacheFile();
  const memory = await readHardwareCache(file);
  const { profile, machines } = await profileOf(wish, memory);
  const { limits, fresh } = wish;
  const situation = situationOf(wish, model, profile);
  const machine = [profile.memoryBytes, profile.unpacking?.cores ?? 0];
  const key = choiceKey({ tensors: shapesOf(model), profile: profile.name, machine, limits, situation });
  const before = fresh ? undefined : memory.choices[key];
  const choice = chooseStrategy(model, profile, { limits, situation, ...(before !== undefined && { before }) });
  const chosen = choice.chosen?.strategy.name;
  if (chosen !== undefined) {
    await writeHardwareCache(file, { machines, choices: { ...memory.choices, [key]: chosen } });
  }
  return { profile, situation, choice, remembered: chosen !== undefined && chosen === before };
}

/** The profile that was asked for; this machine's figures from memory, or measured now. */
async function profileOf(
  { hardware, fresh }: Wish,
  { machines }: HardwareMemory,
): Promise<{ readonly profile: Profile; readonly machines: HardwareMemory['machines'] }> {
  const named = profiles.get(hardware);
  if (named !== undefined) return { profile: named, machines };
  if (!OWN_MACHINE.includes(hardware)) throw new RangeError(`There is no profile ${hardware}.`);
  const key = machineKey();
  const figures = (fresh ? undefined : machines[key]) ?? (await measureMachine());
  return { profile: profileOfMachine(figures), machines: { ...machines, [key]: figures } };
}

function situationOf({ context: asked, batch }: Wish, { decoder }: Model, profile: Profile): Situation {
  const context = asked ?? Math.min(DEFAULT_CONTEXT, decoder.maxContext);
  if (context <= decoder.maxContext) return { context, batch: batch ?? profile.batch };
  throw new BirdboneError('usage', `The model takes at most ${decoder.maxContext} tokens, not ${context}.`, {
    suggestions: [`--context ${decoder.maxContext}`],
  });
}

/** What of a model decides predictions. */
function shapesOf({ checkpoint }: Model): unknown {
  return [...checkpoint.tensors.values()].map(({ name, dtype, shape }) => [name, dtype, shape]);
}
