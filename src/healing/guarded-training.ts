import type { SpikeDecision, SpikePolicyState } from '../spikes/index.js';
import { type SpikeState, spikeDetector, spikePolicy } from '../spikes/index.js';
import { initialState, learntOf } from './learnt.js';
import { loadProgress, type ProgressKey, saveProgress } from './progress.js';
import type { TrainContext, Trainer, TrainState, TrainStep, TrainWork } from './types.js';

/**
 * Steps between two snapshots. More would lose more to a spike or a kill; fewer would spend more on copying: adapters and moments of
 * rank 8 are a hundredth of the weights, which a step runs through several times.
 */
export const SNAPSHOT_STEPS = 20;

/** Two: a loss that creeps up is found some twenty steps late. What began before both of them ends at the beginning. */
const KEPT_SNAPSHOTS = 2;

/** Points of a loss curve in a journal: enough to see its shape. */
const CURVE_POINTS = 50;

/** What happened at a spike, for the journal. */
export interface SpikeRecord {
  /** Batch of the text, counted from 1, that the loss rose on. */
  readonly batch: number;
  readonly severity: string;
  readonly reason: string;
  readonly do: 'restore' | 'stop';
  /** The step that training went back to. */
  readonly backTo: number;
  readonly rateFactor: number;
}

/** Loss by step, as the journal has it: the mean over so many steps each. */
export interface LossCurve {
  readonly every: number;
  readonly losses: readonly number[];
}

/** What a training has come to. */
export interface Trained {
  /** The last good state; undefined where not even the first steps were good. */
  readonly state: TrainState | undefined;
  readonly spikes: readonly SpikeRecord[];
  readonly curve: LossCurve;
  /** Three strikes ended it before its last step. */
  readonly stopped: boolean;
}

/** What is remembered besides the arrays: plain JSON. */
interface Memory {
  /** Of each snapshot: the detector's state then. */
  readonly detectors: readonly SpikeState[];
  readonly policy: SpikePolicyState;
  readonly spikes: readonly SpikeRecord[];
  readonly losses: readonly number[];
}

export interface GuardedOptions {
  readonly trainer: Trainer;
  /** Where to keep snapshots; nowhere without it. */
  readonly keep?: ProgressKey & { readonly isThere: boolean };
}

/**
 * Trains to the end, under guard: when the loss jumps, it goes back to the last good snapshot, leaves out the batches up to the spike and
 * halves the rate; after the third time it stops with that snapshot. Progress is kept with each snapshot, and a training that was killed
 * goes on from it, step for step as if it had not been.
 */
export async function trainGuarded(work: TrainWork, context: TrainContext, options: GuardedOptions): Promise<Trained> {
  const training = await GuardedTraining.open(work, context, options);
  while (await training.attempt());
  return training.result();
}

class GuardedTraining {
  readonly #work: TrainWork;
  readonly #context: TrainContext;
  readonly #options: GuardedOptions;
  readonly #detector = spikeDetector();
  readonly #policy = spikePolicy();
  #snapshots: TrainState[] = [];
  #memory: Memory;
  /** The detector's state after the last step; those in the memory are the snapshots'. */
  #detected: SpikeState;
  #losses: number[] = [];
  #from: TrainState | undefined;
  #stopped = false;

  private constructor(work: TrainWork, context: TrainContext, options: GuardedOptions) {
    this.#work = work;
    this.#context = context;
    this.#options = options;
    this.#detected = this.#detector.begin();
    this.#memory = { detectors: [], policy: this.#policy.begin(), spikes: [], losses: [] };
  }

  static async open(work: TrainWork, context: TrainContext, options: GuardedOptions): Promise<GuardedTraining> {
    const training = new GuardedTraining(work, context, options);
    if (options.keep?.isThere) await training.#resume(options.keep);
    return training;
  }

  /** Trains on from the last good state; false when it is over, true when it has to go back and on again. */
  async attempt(): Promise<boolean> {
    if (this.#stopped) return false;
    const { trainer } = this.#options;
    const from = this.#from;
    const work = from === undefined ? this.#work : { ...this.#work, from };
    const { skipped = 0 } = from ?? {};
    for await (const done of trainer.train(work, this.#context)) {
      const batch = done.step + skipped;
      const { loss, gradientNorm } = done;
      const { state, reading } = this.#detector.observe(this.#detected, { step: batch, loss, gradientNorm });
      const { state: policy, decision } = this.#policy.decide(this.#memory.policy, reading);
      if (decision.do !== 'go-on') {
        await this.#goBack({ policy, decision, batch, severity: reading.severity });
        return decision.do === 'restore';
      }
      this.#detected = state;
      this.#losses.push(loss);
      if (done.step % SNAPSHOT_STEPS === 0 || done.step === this.#work.settings.steps) await this.#keep(done);
    }
    return false;
  }

  result(): Trained {
    const { spikes } = this.#memory;
    return { state: this.#snapshots.at(-1), spikes, curve: curveOf(this.#losses), stopped: this.#stopped };
  }

  async #resume(keep: ProgressKey): Promise<void> {
    const found = await loadProgress<Memory>(keep);
    if (found === undefined) {
      this.#context.report({
        type: 'notice',
        message: `What was kept in ${keep.file} is of no use; healing begins anew.`,
      });
      return;
    }
    this.#snapshots = [...found.snapshots];
    this.#memory = found.memory;
    this.#losses = [...found.memory.losses];
    this.#detected = found.memory.detectors.at(-1) ?? this.#detector.begin();
    this.#stopped = found.memory.spikes.at(-1)?.do === 'stop';
    this.#from = this.#goOnFrom(this.#snapshots.at(-1));
  }

  async #keep(done: TrainStep): Promise<void> {
    const snapshot = await done.snapshot();
    this.#snapshots = [...this.#snapshots, snapshot].slice(-KEPT_SNAPSHOTS);
    const detectors = [...this.#memory.detectors, this.#detected].slice(-KEPT_SNAPSHOTS);
    this.#memory = { ...this.#memory, detectors, losses: [...this.#losses] };
    await this.#save();
  }

  /** Back to the last snapshot before the spike, or to the beginning; what is remembered of spikes is kept before it goes on. */
  async #goBack(spike: Spike): Promise<void> {
    const { policy, decision, batch, severity } = spike;
    const before = decision.do === 'restore' ? decision.before : batch;
    const good = this.#snapshots.findLastIndex(({ step, skipped }) => step + skipped < before);
    this.#snapshots = this.#snapshots.slice(0, good + 1);
    const detectors = this.#memory.detectors.slice(0, good + 1);
    const last = this.#snapshots.at(-1);
    const step = last?.step ?? 0;
    const rateFactor = policy.rateFactor;
    const record = { batch, severity, reason: decision.reason, do: decision.do, backTo: step, rateFactor } as const;
    this.#losses = this.#losses.slice(0, step);
    const spikes = [...this.#memory.spikes, record];
    this.#memory = { detectors, policy, spikes, losses: this.#losses };
    this.#detected = detectors.at(-1) ?? this.#detector.begin();
    this.#stopped = decision.do === 'stop';
    this.#from = this.#goOnFrom(last);
    this.#context.report({ type: 'notice', message: spikeText(record) });
    await this.#save();
  }

  /** Batches that a spike has cost are left out, and the rate is as low as the policy has made it. */
  #goOnFrom(snapshot: TrainState | undefined): TrainState | undefined {
    const last = this.#memory.spikes.at(-1);
    if (last === undefined) return snapshot;
    const step = snapshot?.step ?? 0;
    const skipped = Math.max(snapshot?.skipped ?? 0, last.batch - step);
    const begun = snapshot ?? this.#beginning();
    return { ...begun, skipped, rateScale: this.#memory.policy.rateFactor };
  }

  #beginning(): TrainState {
    const { student, settings } = this.#work;
    return initialState(learntOf(student, settings), settings.seed);
  }

  async #save(): Promise<void> {
    const { keep } = this.#options;
    if (keep !== undefined) await saveProgress(keep, { snapshots: this.#snapshots, memory: this.#memory });
  }
}

interface Spike {
  readonly policy: SpikePolicyState;
  readonly decision: Exclude<SpikeDecision, { do: 'go-on' }>;
  readonly batch: number;
  readonly severity: string;
}

function curveOf(losses: readonly number[]): LossCurve {
  const every = Math.max(1, Math.ceil(losses.length / CURVE_POINTS));
  const means: number[] = [];
  for (let first = 0; first < losses.length; first += every) {
    const part = losses.slice(first, first + every);
    means.push(part.reduce((sum, loss) => sum + loss, 0) / part.length);
  }
  return { every, losses: means };
}

function spikeText({ batch, reason, do: action, backTo, rateFactor }: SpikeRecord): string {
  const back = backTo === 0 ? 'the beginning' : `step ${backTo}`;
  if (action === 'stop') return `Batch ${batch}: ${reason}. It was the last strike: healing ends with ${back}.`;
  return `Batch ${batch}: ${reason}. Healing goes back to ${back}, at ${rateFactor} of the learning rate.`;
}
