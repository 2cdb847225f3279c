import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError, stopIfAborted } from '../errors.js';
import type { Report } from '../events.js';
import { type LayerEntry, type ObjectId, ObjectStore, openDelta, readLayerObject } from '../store/index.js';
import { statesWith, type WaveChange } from './affected.js';
import { type History, historyOf, referencedWaves } from './history.js';
import { Journal } from './journal.js';
import { candidateStates } from './search-folder.js';
import type { StateFolder } from './state-folder.js';

/** Something in a state folder that is not as a run left it. */
export interface StateFinding {
  readonly file: string;
  readonly problem: 'missing' | 'damaged' | 'foreign';
  /** In words. */
  readonly detail: string;
  /** What was in it, where something is known to have been: the waves, and the tensors that they changed. */
  readonly affected: readonly WaveChange[];
  /** Names of the states that cannot be made without it, as `rollback --to` takes them. */
  readonly states: readonly string[];
}

export interface StateCheck {
  readonly out: string;
  readonly state: string;
  /** True when nothing was found. */
  readonly sound: boolean;
  /** Whether every byte was read, or only names and sizes. */
  readonly readData: boolean;
  readonly records: number;
  /** Waves whose objects must be there. */
  readonly waves: readonly number[];
  readonly objects: number;
  readonly bytes: number;
  /** What nothing refers to: for `gc`, not a fault. */
  readonly unreferenced: { readonly files: number; readonly bytes: number };
  /** Of the search that led to the run, where there was one; what is wrong with its candidates is among the findings. */
  readonly search?: { readonly folder: string; readonly candidates: number; readonly bytes: number };
  readonly findings: readonly StateFinding[];
}

export interface CheckOptions {
  /** Read and decode everything, rather than look at names and sizes. */
  readonly readData: boolean;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/**
 * Looks a state folder through: the journal's chain, the baseline's scores, and that every object which the current state or a
 * tag needs is there with its size; with `readData` every object in the store is read, hashed and decoded, so that no changed
 * bit is missed. The candidates of a search beside it are looked through likewise. Findings are in the result, not thrown. Reads only, and takes no lock. Throws `usage` when there is no journal.
 */
export async function checkState(folder: StateFolder, options: CheckOptions): Promise<StateCheck> {
  if (!existsSync(folder.journal)) {
    throw new BirdboneError('usage', `There is nothing to check: ${folder.journal} does not exist.`, {
      suggestions: ['Name the output folder of a prune.', 'If its state was put elsewhere, say where: --state DIR'],
    });
  }
  const own = await new StateChecker(folder, options).check();
  const candidates = await candidateStates(folder);
  if (candidates.length === 0) return own;
  const findings = [...own.findings];
  let bytes = 0;
  for (const candidate of candidates) {
    const checked = await new StateChecker(candidate, options).check();
    bytes += checked.bytes + checked.unreferenced.bytes;
    // Its waves and states are those of a run that nobody rolls back.
    for (const { file, problem, detail } of checked.findings) {
      findings.push({ file, problem, detail: `of a candidate of the search: ${detail}`, affected: [], states: [] });
    }
  }
  const search = { folder: folder.search, candidates: candidates.length, bytes };
  return { ...own, sound: findings.length === 0, search, findings };
}

class StateChecker {
  readonly #folder: StateFolder;
  readonly #options: CheckOptions;
  readonly #store: ObjectStore;
  /** What is wrong with each file; the first thing that was found. */
  readonly #faults = new Map<string, Pick<StateFinding, 'problem' | 'detail'>>();
  /** What each object is needed for, by those layers that can be read. */
  readonly #uses = new Map<ObjectId, WaveChange[]>();
  /** What each delta should be. */
  readonly #entries = new Map<ObjectId, LayerEntry[]>();
  #past: History = historyOf([]);
  #records = 0;

  constructor(folder: StateFolder, options: CheckOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#store = new ObjectStore(folder.objects);
  }

  async check(): Promise<StateCheck> {
    await this.#checkJournal();
    await this.#checkBaseline();
    const needed = referencedWaves(this.#past);
    for (const wave of this.#past.waves) {
      if (needed.has(wave.wave)) await this.#checkLayer(wave.wave, wave.layer.sha256);
      else await this.#checkLeftLayer(wave.wave, wave.layer.sha256);
    }
    const { objects, unreferenced } = await this.#checkStore();
    const findings = [...this.#faults].map(([file, fault]) => this.#findingOf(file, fault));
    return {
      out: this.#folder.out,
      state: this.#folder.root,
      sound: findings.length === 0,
      readData: this.#options.readData,
      records: this.#records,
      waves: [...needed].sort((left, right) => left - right),
      objects: objects.files,
      bytes: objects.bytes,
      unreferenced,
      findings,
    };
  }

  async #checkJournal(): Promise<void> {
    const { journal } = this.#folder;
    await this.#noting(journal, async () => {
      const { records, refuseHiddenRecord } = await Journal.open(journal, { repair: false });
      this.#records = records.length;
      refuseHiddenRecord();
      this.#past = historyOf(records);
    });
  }

  async #checkBaseline(): Promise<void> {
    const scores = this.#past.baseline?.scores;
    if (scores === undefined) return;
    const file = path.join(this.#folder.root, scores.name);
    if (!existsSync(file)) return this.#find(file, 'missing', 'the scores of the dense model are gone');
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    if (digest !== scores.sha256) this.#find(file, 'damaged', 'it is not what the journal recorded');
  }

  /** A layer that some state needs, and whether each of its deltas is there. */
  async #checkLayer(wave: number, id: ObjectId): Promise<void> {
    this.#use(id, { wave });
    if (!(await this.#isThere(id))) return;
    for (const entry of await this.#entriesOf(wave, id)) {
      this.#use(entry.object, { wave, tensor: entry.name });
      if (await this.#isThere(entry.object, entry.bytes)) this.#remember(entry);
    }
  }

  /** A layer that no state needs, of which `gc` may have taken any part. */
  async #checkLeftLayer(wave: number, id: ObjectId): Promise<void> {
    if ((await this.#store.sizeOf(id)) === undefined) return;
    for (const entry of await this.#entriesOf(wave, id)) this.#remember(entry);
  }

  async #entriesOf(wave: number, id: ObjectId): Promise<readonly LayerEntry[]> {
    let entries: readonly LayerEntry[] = [];
    await this.#noting(this.#store.fileOf(id), async () => {
      const layer = await readLayerObject(this.#store, id);
      if (layer.wave !== wave) throw new BirdboneError('unreadable', `It is of wave ${layer.wave}, not ${wave}.`);
      entries = layer.tensors;
    });
    return entries;
  }

  async #isThere(id: ObjectId, bytes?: number): Promise<boolean> {
    const size = await this.#store.sizeOf(id);
    const file = this.#store.fileOf(id);
    if (size === undefined) this.#find(file, 'missing', 'the object is gone');
    else if (size !== (bytes ?? size)) this.#find(file, 'damaged', `it has ${size} bytes, and should have ${bytes}`);
    else return true;
    return false;
  }

  /** Every name in the store; with `readData` every byte. */
  async #checkStore() {
    const objects = { files: 0, bytes: 0 };
    const unreferenced = { files: 0, bytes: 0 };
    const { report, signal } = this.#options;
    const total = await this.#bytesInStore();
    for await (const { kind, path: file, id, bytes } of this.#store.entries()) {
      stopIfAborted(signal);
      if (kind === 'foreign') this.#find(file, 'foreign', 'no run has put it there');
      if (id !== undefined && this.#options.readData) await this.#checkObject(id);
      const count = id !== undefined && this.#uses.has(id) ? objects : unreferenced;
      if (kind !== 'foreign') {
        count.files += 1;
        count.bytes += bytes;
      }
      const done = objects.bytes + unreferenced.bytes;
      report?.({ type: 'progress', stage: 'check', done, total, unit: 'bytes' });
    }
    return { objects, unreferenced };
  }

  async #bytesInStore(): Promise<number> {
    let total = 0;
    for await (const { kind, bytes } of this.#store.entries()) if (kind !== 'foreign') total += bytes;
    return total;
  }

  async #checkObject(id: ObjectId): Promise<void> {
    const file = this.#store.fileOf(id);
    if (this.#faults.has(file)) return;
    await this.#noting(file, async () => {
      await this.#store.verify(id);
      for (const entry of this.#entries.get(id) ?? []) await (await openDelta(this.#store, entry)).readAll();
    });
  }

  /** Carries out `work`; what a user could act on becomes a finding about the file. */
  async #noting(file: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof BirdboneError) || error.code === 'interrupted') throw error;
      this.#find(file, 'damaged', error.message);
    }
  }

  #find(file: string, problem: StateFinding['problem'], detail: string): void {
    if (!this.#faults.has(file)) this.#faults.set(file, { problem, detail });
  }

  #findingOf(file: string, fault: Pick<StateFinding, 'problem' | 'detail'>): StateFinding {
    const id = path.basename(file);
    const affected = (this.#store.fileOf(id) === file && this.#uses.get(id)) || [];
    const states = [...new Set(affected.flatMap((change) => statesWith(change, this.#past)))];
    return { file, ...fault, affected, states };
  }

  #use(id: ObjectId, change: WaveChange): void {
    this.#uses.set(id, [...(this.#uses.get(id) ?? []), change]);
  }

  #remember(entry: LayerEntry): void {
    this.#entries.set(entry.object, [...(this.#entries.get(entry.object) ?? []), entry]);
  }
}
