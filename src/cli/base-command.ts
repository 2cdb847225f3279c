import type { Interfaces } from '@oclif/core';
import { Command } from '@oclif/core/command';
import * as ux from '@oclif/core/ux';
import { BirdboneError } from '../errors.js';
import type { Event } from '../events.js';
import { makePausable, PauseSwitch } from '../pause.js';
import { type EventSink, eventLines } from './events.js';
import { globalFlags } from './flags.js';
import { toJson } from './json.js';
import { printable } from './printable.js';
import { progressLines } from './progress.js';

type Flags<T extends typeof Command> = Interfaces.InferredFlags<(typeof BaseCommand)['baseFlags'] & T['flags']>;
type Args<T extends typeof Command> = Interfaces.InferredArgs<T['args']>;

/**
 * What all commands share: the global flags, `--json`, progress, events, and stopping on a signal. A command parses
 * nothing and prints nothing but its result: `run()` makes one call, logs a rendering, and returns a plain object.
 */
export abstract class BaseCommand<T extends typeof Command> extends Command {
  static override readonly enableJsonFlag = true;
  static override readonly baseFlags = globalFlags;
  /**
   * What the command leaves on disk: nothing, files that describe or remove something, or a model. Whatever writes has
   * --dry-run; a model comes with its manifest and a diff (test/contract/commands.test.ts).
   */
  static readonly writes: 'nothing' | 'files' | 'model' = 'nothing';

  protected flags!: Flags<T>;
  protected args!: Args<T>;
  #sinks: readonly EventSink[] = [];
  readonly #stopping = new AbortController();
  readonly #pausing = new PauseSwitch();

  /** Where long work tells how far it is. */
  protected readonly report = (event: Event): void => {
    for (const sink of this.#sinks) sink.report(event);
  };

  /**
   * Aborted, with an `interrupted` error as its reason, by the first Ctrl-C or SIGTERM; the second one kills. SIGUSR2 pauses a
   * command that carries out waves, and ends the pause (SIGUSR1 is Node's own, for its inspector).
   */
  protected get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** What --threads asks of a device. */
  protected get deviceOptions(): { threads?: number } {
    const { threads } = this.flags as { threads?: number };
    return threads === undefined ? {} : { threads };
  }

  protected override async init(): Promise<void> {
    await super.init();
    const { args, flags } = await this.parse(this.ctor as unknown as Interfaces.Input<Flags<T>, Flags<T>, Args<T>>);
    this.flags = flags as Flags<T>;
    this.args = args as Args<T>;
    this.#sinks = this.#openSinks();
    makePausable(this.signal, this.#pausing);
    process.once('SIGINT', this.#stop).once('SIGTERM', this.#stop);
    if (this.#isResumable) process.on('SIGUSR2', this.#toggle);
  }

  /** Whether it carries out waves: only those are long enough to be paused, and go on where they were. */
  get #isResumable(): boolean {
    return 'resume' in (this.ctor.flags ?? {});
  }

  /** Errors are printed, and turned into exit codes, in one place: main.ts. */
  protected override async catch(error: Error): Promise<never> {
    const stopped = this.signal.aborted && error instanceof BirdboneError && error.code === 'interrupted';
    throw stopped ? this.signal.reason : error;
  }

  protected override async finally(error: Error | undefined): Promise<void> {
    process.off('SIGINT', this.#stop).off('SIGTERM', this.#stop).off('SIGUSR2', this.#toggle);
    for (const sink of this.#sinks) sink.close();
    await super.finally(error);
  }

  /** For people: standard output, unless events go there. Silent under --json. */
  override log(text = ''): void {
    if (this.flags.events === '-') this.logToStderr(printable(text));
    else super.log(printable(text));
  }

  protected override logJson(value: unknown): void {
    ux.stdout(toJson(value));
  }

  readonly #stop = (): void => {
    if (!this.flags.quiet) ux.stderr('\nStopping; what is done so far is kept. Again to stop at once.');
    this.#stopping.abort(
      new BirdboneError('interrupted', 'Interrupted. Nothing was published that was not before.', {
        suggestions: this.#isResumable ? ['Run the same command with --resume to continue.'] : [],
      }),
    );
  };

  readonly #toggle = (): void => {
    this.#pausing.set(!this.#pausing.wanted, 'signal');
    if (this.flags.quiet) return;
    const paused = 'Pausing after the block that is at work. SIGUSR2 again goes on; Ctrl-C ends.';
    ux.stderr(this.#pausing.wanted ? paused : 'Going on.');
  };

  #openSinks(): EventSink[] {
    const { events, quiet } = this.flags as { events?: string; quiet?: boolean };
    if (events === '-' && this.jsonEnabled()) {
      throw new BirdboneError('usage', '--events - and --json both write to standard output. Only one can.', {
        suggestions: ['--events FILE'],
      });
    }
    return [
      ...(events === undefined ? [] : [eventLines(events)]),
      ...(quiet === true ? [] : [progressLines(process.stderr)]),
    ];
  }
}
