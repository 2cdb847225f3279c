import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Errand, ErrandEnd } from './recover-worker.js';

const WORKER = fileURLToPath(new URL('recover-worker.ts', import.meta.url));

/** A process that runs command lines one after another, without strace and with names of its own. */
export class Recovery {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(root: string): Promise<Recovery> {
    const child = fork(WORKER, [root], {
      execArgv: ['--import', 'tsx'],
      env: { ...process.env, NO_COLOR: '1', NODE_OPTIONS: '' },
    });
    await once(child, 'message');
    return new Recovery(child);
  }

  run(errand: Errand): Promise<ErrandEnd> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => {
        reject(new Error(`the process of the next commands ended with ${code} during ${errand.argv.join(' ')}`));
      };
      this.#child.once('exit', onExit);
      this.#child.once('message', (message) => {
        this.#child.off('exit', onExit);
        resolve(message as ErrandEnd);
      });
      this.#child.send(errand);
    });
  }

  async stop(): Promise<void> {
    this.#child.disconnect();
    await once(this.#child, 'exit');
  }
}
