import { stopIfAborted } from './errors.js';

/** Is told while work is held; what it does is over before the work is held, or goes on. */
export interface HoldWatch {
  held(): Promise<void>;
  /** `aborted`: the work does not go on, it ends. */
  released(aborted: boolean): Promise<void>;
}

/** Who has asked for a pause, or for its end. */
export type AskedBy = 'request' | 'signal';

/**
 * Holds work back between two of its units for as long as somebody wants: what an `AbortSignal` is to stopping, this is to pausing.
 * Nothing that is computed depends on it.
 */
export class PauseSwitch {
  #wanted = false;
  #by: AskedBy = 'request';
  #wake: () => void = () => {};
  #holding: Promise<void> | undefined;
  #watch: HoldWatch | undefined;
  #heldMilliseconds = 0;

  /** How long work was held by it, in all. */
  get heldMilliseconds(): number {
    return this.#heldMilliseconds;
  }

  get wanted(): boolean {
    return this.#wanted;
  }

  /** Who has switched last. */
  get by(): AskedBy {
    return this.#by;
  }

  set(wanted: boolean, by: AskedBy): void {
    this.#wanted = wanted;
    this.#by = by;
    if (!wanted) this.#wake();
  }

  /** From now on `watch` is told; nobody any more without one. */
  watchedBy(watch: HoldWatch | undefined): void {
    this.#watch = watch;
  }

  /** Returns when no pause is wanted, or the signal is aborted. */
  async pass(signal: AbortSignal): Promise<void> {
    while (this.#wanted && !signal.aborted) {
      // Whoever comes while others are held waits with them.
      this.#holding ??= this.#hold(signal);
      await this.#holding;
    }
  }

  async #hold(signal: AbortSignal): Promise<void> {
    // A promise alone keeps no process alive.
    const alive = setInterval(() => {}, 60_000);
    const begun = performance.now();
    try {
      await this.#watch?.held();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
        if (!this.#wanted || signal.aborted) resolve();
      });
      await this.#watch?.released(signal.aborted);
    } finally {
      clearInterval(alive);
      this.#heldMilliseconds += performance.now() - begun;
      this.#holding = undefined;
    }
  }
}

const switches = new WeakMap<AbortSignal, PauseSwitch>();

/** Gives a signal a switch: who is handed the signal can be paused by it. */
export function makePausable(signal: AbortSignal, by: PauseSwitch): void {
  switches.set(signal, by);
}

/** The switch of a signal, where somebody gave it one. */
export function pauseSwitchOf(signal: AbortSignal | undefined): PauseSwitch | undefined {
  return signal && switches.get(signal);
}

/**
 * Returns when the work that this signal stops may go on: at once, unless it is paused. Long work awaits it between units that it
 * can be held after, where it would otherwise call `stopIfAborted`. Throws `interrupted` once the signal is aborted.
 */
export async function goOn(signal: AbortSignal | undefined): Promise<void> {
  const held = pauseSwitchOf(signal);
  if (held?.wanted) await held.pass(signal!);
  stopIfAborted(signal);
}
