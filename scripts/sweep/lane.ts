import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { makeWorkplace } from '../../test/fixtures/workplace.js';
import { contentsOf, digestOf, resetFolder } from './folder-state.js';
import { runOnFullDisk, unmount, usedBytes } from './full-disk.js';
import { Recovery } from './recover.js';
import type { ErrandEnd } from './recover-worker.js';
import type { Scenario, Step } from './scenarios.js';
import { type Blow, type Point, recordPoints, type Struck, strike, type Victim } from './strace.js';

/** A command whose state before, points and state after are known; ready to be struck at any point. */
export interface Prepared {
  readonly scenario: Scenario;
  readonly points: readonly Point[];
  /** Digests of the parts. */
  readonly before: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, string>>;
  /** How the readers end before and after the command. */
  readonly heardBefore: readonly ErrandEnd[];
  readonly heardAfter: readonly ErrandEnd[];
  /** What the files take on a disk. */
  readonly usedBefore: number;
  readonly usedAfter: number;
  /** Every file, once cleaned. */
  readonly contents: Readonly<Record<string, string>>;
}

/**
 * A workplace of its own, in which one trial after another runs; with several, trials run side by side. Its path stays the
 * same, because manifests and journals hold it.
 */
export class Lane {
  readonly folder: string;
  readonly #base: string;
  readonly #log: string;
  readonly #entry: string;
  readonly recovery: Recovery;
  #isMounted = false;

  private constructor(root: string, home: string, recovery: Recovery) {
    this.folder = path.join(home, 'place');
    this.#base = path.join(home, 'base');
    this.#log = path.join(home, 'strace.log');
    this.#entry = path.join(root, 'bin/run.js');
    this.recovery = recovery;
  }

  static async open(root: string, home: string): Promise<Lane> {
    mkdirSync(home, { recursive: true });
    return new Lane(root, home, await Recovery.start(root));
  }

  async prepare(scenario: Scenario): Promise<Prepared> {
    this.#release();
    this.#makeWorkplace();
    for (const step of scenario.prepare) await this.#take(step);
    resetFolder(this.#base, this.folder);
    const before = this.digests(scenario);
    const heardBefore = await this.listen(scenario);
    const victim = this.#victim(scenario.victim);
    const { points, run } = await recordPoints(victim);
    refuseFailure(scenario, run);
    const after = this.digests(scenario);
    const heardAfter = await this.listen(scenario);
    const [usedBefore, usedAfter] = [usedBytes(this.#base), usedBytes(this.folder)];
    await this.clean(scenario);
    return {
      scenario,
      points,
      before,
      heardBefore,
      after,
      heardAfter,
      usedBefore,
      usedAfter,
      contents: contentsOf(this.folder),
    };
  }

  /** Puts the state before the command back, runs it, and strikes. */
  strike({ scenario }: Prepared, point: Point, blow: Blow): Promise<Struck> {
    this.#reset();
    return strike(this.#victim(scenario.victim), point, blow);
  }

  /** Runs the command, from the state before it, on a disk of this size; afterwards there is room. */
  async fillDisk({ scenario }: Prepared, bytes: number): Promise<Struck> {
    this.#release();
    this.#isMounted = true;
    return runOnFullDisk(this.#victim(scenario.victim), this.#base, bytes);
  }

  #reset(): void {
    this.#release();
    resetFolder(this.folder, this.#base);
  }

  #release(): void {
    if (this.#isMounted) unmount(this.folder);
    this.#isMounted = false;
  }

  digests({ parts }: Scenario): Record<string, string> {
    return Object.fromEntries(parts.map((part) => [part, digestOf(this.folder, [part])]));
  }

  isAbsent(part: string): boolean {
    return !existsSync(path.join(this.folder, part));
  }

  /** How the readers end and what they print. */
  async listen({ readers }: Scenario): Promise<ErrandEnd[]> {
    const heard: ErrandEnd[] = [];
    for (const argv of readers) heard.push(await this.recovery.run({ folder: this.folder, argv }));
    return heard;
  }

  async clean({ clean }: Scenario): Promise<void> {
    if (clean !== undefined) await this.run(clean);
  }

  /** Runs a command line that has to end well, and returns what it printed. */
  async run(argv: readonly string[]): Promise<string> {
    const { code, output } = await this.recovery.run({ folder: this.folder, argv });
    if (code !== 0)
      throw new Error(`birdbone ${argv.slice(0, 3).join(' ')} ended with ${code}: ${output.slice(0, 400)}`);
    return output;
  }

  async close(): Promise<void> {
    this.#release();
    await this.recovery.stop();
  }

  #makeWorkplace(): void {
    const made = makeWorkplace();
    resetFolder(this.folder, made);
    rmSync(made, { recursive: true });
    // Hashes are recorded at the root of a repository.
    execFileSync('git', ['init', '-q', '--template=', this.folder]);
  }

  async #take(step: Step): Promise<void> {
    if (!('killed' in step)) {
      await this.run(step);
      return;
    }
    resetFolder(this.#base, this.folder);
    const victim = this.#victim(step.killed);
    const { points } = await recordPoints(victim);
    const point = points.find(({ call, text }) => step.at.test(`${call} ${text}`));
    if (point === undefined) throw new Error(`${step.killed.join(' ')} makes no call like ${step.at}`);
    resetFolder(this.folder, this.#base);
    const { fired } = await strike(victim, point, 'SIGKILL');
    if (!fired) throw new Error(`the kill at ${step.at} of ${step.killed.join(' ')} did not happen`);
  }

  #victim(argv: readonly string[]): Victim {
    return { entry: this.#entry, argv, folder: this.folder, log: this.#log };
  }
}

function refuseFailure({ command, situation }: Scenario, { code, stderr }: Struck): void {
  if (code !== 0) throw new Error(`${command}, ${situation}: ended with ${code} though nothing struck it: ${stderr}`);
}
