import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BirdboneError, type ErrorCode } from '../errors.js';
import type { ProbeSetup } from './engine.js';
import type { Round } from './figures.js';

export type ProbeQuestion =
  | { readonly ask: 'open'; readonly setup: ProbeSetup }
  | { readonly ask: 'round' }
  | { readonly ask: 'memory' };

export type ProbeAnswer =
  | { readonly description: string }
  | { readonly round: Round }
  | { readonly peakBytes: number; readonly idleBytes: number }
  | { readonly failure: ProbeFailure }
  | { readonly bug: string };

interface ProbeFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly suggestions: readonly string[];
  readonly file?: string;
  readonly tensor?: string;
}

type AnswerTo<Key extends string> = Extract<ProbeAnswer, { readonly [key in Key]: unknown }>;

/** One model in one engine in a process of its own. */
export class Probe {
  readonly setup: ProbeSetup;
  readonly description: string;
  readonly #child: ChildProcess;

  private constructor(setup: ProbeSetup, child: ChildProcess, description: string) {
    this.setup = setup;
    this.#child = child;
    this.description = description;
  }

  /** Starts the process and opens the model in it. Throws what opening throws there. The caller closes. */
  static async open(setup: ProbeSetup): Promise<Probe> {
    // Compiled, also where this runs from sources: package.json's "imports".
    const child = fork(fileURLToPath(import.meta.resolve('#bench-probe')), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const probe = new Probe(setup, child, '');
    try {
      const { description } = await probe.#ask<AnswerTo<'description'>>({ ask: 'open', setup });
      return new Probe(setup, child, description);
    } catch (error) {
      await probe.close();
      throw error;
    }
  }

  /** Everything measured once. */
  async round(): Promise<Round> {
    return (await this.#ask<AnswerTo<'round'>>({ ask: 'round' })).round;
  }

  memory(): Promise<AnswerTo<'peakBytes'>> {
    return this.#ask({ ask: 'memory' });
  }

  /** Ends the process, whatever it is doing. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  async #ask<Answer extends ProbeAnswer>(question: ProbeQuestion): Promise<Answer> {
    const said = await this.#answerTo(question);
    if ('failure' in said) {
      const { code, message, ...details } = said.failure;
      throw new BirdboneError(code, message, details);
    }
    if ('bug' in said) throw new Error(`Measuring ${this.setup.model} in ${this.setup.engine} failed: ${said.bug}`);
    return said as Answer;
  }

  #answerTo(question: ProbeQuestion): Promise<ProbeAnswer> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        child.off('message', onMessage).off('exit', onExit).off('error', onError);
        act();
      };
      const onMessage = (said: ProbeAnswer) => settle(() => resolve(said));
      const onError = (error: Error) => settle(() => reject(error));
      const onExit = (code: number | null, signal: string | null) => settle(() => reject(this.#died(code, signal)));
      child.on('message', onMessage).on('exit', onExit).on('error', onError);
      child.send(question);
    });
  }

  /** A system that runs out of memory kills without a word. */
  #died(code: number | null, signal: string | null): BirdboneError {
    const { model, engine } = this.setup;
    const how = signal === null ? `with status ${code}` : `by ${signal}`;
    return new BirdboneError('out-of-memory', `The process that measured ${model} in ${engine} was ended ${how}.`, {
      suggestions: ['Use a smaller --context or --windows.', 'Measure one model at a time.'],
    });
  }
}
