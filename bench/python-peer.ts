import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** Debian's own Python, whose numpy takes the BLAS that the system is set to. */
export const PYTHON = '/usr/bin/python3';

/** A Python program beside this file that answers each line on its input with one on its output. */
export class PythonPeer {
  readonly #script: string;
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(script: string, env: Readonly<Record<string, string>> = {}) {
    this.#script = script;
    this.#child = spawn(PYTHON, [path.join(import.meta.dirname, script)], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, ...env },
    });
    // A program that is not there ends its output at once, which `ask` reports.
    this.#child.on('error', () => {});
    this.#child.stdin!.on('error', () => {});
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async ask(question: string): Promise<string> {
    this.#child.stdin!.write(`${question}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`${this.#script} ended at "${question}".`);
    return value;
  }

  stop(): void {
    this.#child.kill();
  }
}
