import { rm } from 'node:fs/promises';
import path from 'node:path';
import { writing } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { Report } from '../events.js';
import { type AskedBy, goOn, type HoldWatch, makePausable, PauseSwitch, pauseSwitchOf } from '../pause.js';
import {
  type ControlAction,
  type ControlRecord,
  type ControlRequest,
  historyOf,
  type Journal,
  type Lock,
  nextWave,
  type RunStatus,
  type StateFolder,
  staleRequests,
  takeRequest,
} from '../state/index.js';

/** How often a run looks for a request; a look is one system call. */
const LOOK_MILLISECONDS = 200;

/** What a run under control has. */
export interface Controlled {
  readonly folder: Pick<StateFolder, 'root'>;
  readonly lock: Pick<Lock, 'token' | 'tell'>;
  readonly journal: Journal;
  readonly report: Report;
  /** Ends the run; its pause switch, where it has one, pauses it. */
  readonly signal: AbortSignal | undefined;
}

/** The wave that is being made. */
export type WaveAt = Pick<ControlRecord, 'wave'> & Required<Pick<ControlRecord, 'step' | 'target'>>;

/**
 * Takes what is asked of a run while it goes on: pauses and their end, skipping a wave, stopping. A request comes in a file
 * (`takeRequest`), a pause also by a signal to the process. What changes the result is in the journal before anything follows from it;
 * the clock decides only when a request is seen.
 */
export class RunControl implements HoldWatch {
  /** What long work goes by: aborted with the run's signal, and held while the run is paused. */
  readonly signal: AbortSignal;
  readonly #run: Controlled;
  readonly #switch: PauseSwitch;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #failure: unknown;
  #at: WaveAt | undefined;
  #skip = new AbortController();
  #stopBy: AskedBy | undefined;
  #phase: 'running' | 'publishing' = 'running';
  #isHeld = false;

  constructor(run: Controlled) {
    this.#run = run;
    this.#switch = pauseSwitchOf(run.signal) ?? new PauseSwitch();
    this.signal = this.#pausable(run.signal ?? new AbortController().signal);
  }

  /** Listens from now on until `close`. */
  async open(): Promise<void> {
    const { folder, lock } = this.#run;
    for (const name of await staleRequests(folder.root, lock.token)) {
      const file = path.join(folder.root, name);
      await writing(file, () => rm(file, { force: true }));
    }
    this.#switch.watchedBy(this);
    this.#timer = setInterval(() => this.#look(), LOOK_MILLISECONDS).unref();
    await this.#tell();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
    this.#switch.watchedBy(undefined);
    // What was asked of this run is nothing to whatever comes after it under the same signal.
    if (this.#switch.by === 'request') this.#switch.set(false, 'request');
  }

  /** Between two waves: waits while the run is paused. Throws `interrupted` when it is to end, and what looking for requests threw. */
  async between(): Promise<void> {
    await this.#look();
    this.#throwFailure();
    await goOn(this.signal);
  }

  /** Whether no further wave is to be made; the journal has it when this returns true. */
  async isStopped(): Promise<boolean> {
    if (historyOf(this.#run.journal.records).controls.some(({ action }) => action === 'stop')) return true;
    if (this.#stopBy === undefined) return false;
    await this.#record('stop', this.#stopBy);
    return true;
  }

  /**
   * Carries out a wave; false when it was skipped, which the journal has then. A wave that is in the journal by the time the
   * request comes is not skipped.
   */
  async wave(at: WaveAt, make: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    const { journal, signal } = this.#run;
    this.#at = at;
    this.#skip = new AbortController();
    await this.#tell();
    try {
      await make(this.#pausable(AbortSignal.any([this.signal, this.#skip.signal])));
      if (this.#skip.signal.aborted) this.#tooLate(at.wave);
      return true;
    } catch (error) {
      const isEnded = error instanceof BirdboneError && error.code === 'interrupted';
      const isJudged = nextWave(historyOf(journal.records)) > at.wave;
      if (!isEnded || isJudged || signal?.aborted || !this.#skip.signal.aborted) throw error;
      await this.#record('skip', 'request', at);
      return false;
    } finally {
      this.#at = undefined;
    }
  }

  /** From now on there is nothing to pause, skip or stop any more. */
  async publishing(): Promise<void> {
    this.#phase = 'publishing';
    await this.#tell();
  }

  async held(): Promise<void> {
    this.#isHeld = true;
    await this.#record('pause', this.#switch.by);
    await this.#tell();
  }

  async released(aborted: boolean): Promise<void> {
    this.#isHeld = false;
    // One that ends while it is paused is no run that went on.
    if (aborted) return;
    await this.#record('resume', this.#switch.by);
    await this.#tell();
  }

  /** One look after the other. What goes wrong is thrown where the run can end by it. */
  #look(): Promise<void> {
    this.#looking = this.#looking
      .then(() => takeRequest(this.#run.folder.root, this.#run.lock.token, (request) => this.#take(request)))
      .catch((error) => {
        this.#failure ??= error;
      });
    return this.#looking;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #take(request: ControlRequest | 'malformed'): Promise<void> {
    if (request === 'malformed') return this.#notice('A control file that holds no request was removed.');
    const { action } = request;
    if (this.#phase === 'publishing') return this.#notice(`The run is being published: too late to ${action}.`);
    if (action === 'pause') this.#switch.set(true, 'request');
    else if (action !== 'skip' || this.#skipped(request)) this.#switch.set(false, 'request');
    if (action === 'stop') this.#stopBy = 'request';
    await this.#tell();
  }

  /** Ends the wave that is meant, at its next block; false where it is not being made. */
  #skipped({ wave }: ControlRequest): boolean {
    const at = this.#at?.wave;
    if (at === undefined || (wave !== undefined && wave !== at)) {
      this.#tooLate(wave);
      return false;
    }
    this.#skip.abort();
    return true;
  }

  #tooLate(wave: number | undefined): void {
    this.#notice(
      `${wave === undefined ? 'No wave is being made' : `Wave ${wave} is judged`}: there is nothing to skip.`,
    );
  }

  #notice(message: string): void {
    this.#run.report({ type: 'notice', message });
  }

  async #record(action: ControlAction, by: AskedBy, at: Partial<WaveAt> = {}): Promise<void> {
    const { journal, report } = this.#run;
    const wave = at.wave ?? this.#at?.wave ?? nextWave(historyOf(journal.records));
    const what = { action, wave, ...(at.step !== undefined && { step: at.step, target: at.target }), by };
    await journal.append({ type: 'control', ...what });
    report({ type: 'control', ...what });
  }

  async #tell(): Promise<void> {
    await this.#run.lock.tell({ state: this.#state(), ...this.#at, since: new Date().toISOString() });
  }

  #state(): RunStatus['state'] {
    if (this.#phase === 'publishing') return this.#phase;
    if (this.#switch.wanted) return this.#isHeld ? 'paused' : 'pausing';
    return this.#stopBy === undefined ? this.#phase : 'stopping';
  }

  #pausable(signal: AbortSignal): AbortSignal {
    makePausable(signal, this.#switch);
    return signal;
  }
}
