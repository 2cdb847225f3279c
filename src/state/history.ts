import type { Recipe } from '../recipe.js';
import type { DeviceName } from '../tensor/index.js';
import type { ControlRecord } from './control-record.js';
import type { JournalRecord } from './journal.js';
import { checkRecord } from './record-forms.js';
import type { FileDigest, GateTermRecord, WaveJournalRecord } from './wave-record.js';
import { sameState, settled, stateAfter, stateOf, type WaveState, wavesIn } from './wave-state.js';

export interface BeginRecord {
  readonly type: 'begin';
  readonly recipe: Recipe;
  readonly device: DeviceName;
  /** Of birdbone. */
  readonly version: string;
  /** The gate in words, as `--gate` takes it. */
  readonly gate: string;
  /** What computed the result: node, libraries, device. */
  readonly versions: Readonly<Record<string, string>>;
  /** Digest of the manifest of the earlier result that this run was told to replace. */
  readonly replaces?: string;
  readonly base: { readonly path: string; readonly weights: string; readonly metadata: string };
  /** The model that the result is held against, where it is not the base. */
  readonly reference?: { readonly path: string; readonly weights: string; readonly metadata: string };
  readonly calibration?: FileDigest;
  readonly evaluation?: FileDigest;
}

export interface BaselineRecord {
  readonly type: 'baseline';
  readonly figures: Readonly<Record<string, number>>;
  /** File in the state folder with the dense model's score of every passage, and its digest. */
  readonly scores: FileDigest;
}

/** What a clock or the like has decided, once and for all: a run that goes on finds it here. */
export interface DecisionRecord {
  readonly type: 'decision';
  /** The wave that it was taken in. */
  readonly wave: number;
  readonly name: string;
  readonly value: Readonly<Record<string, unknown>>;
}

export interface DiffFiles {
  readonly json: string;
  readonly markdown: string;
}

/** A name that a user gave to a state. */
export interface Tag {
  readonly name: string;
  readonly state: WaveState;
}

/** A state that was measured after the run, as a mix of waves has to be. */
export interface StateMeasurement {
  readonly state: WaveState;
  readonly figures: Readonly<Record<string, number>>;
  /** What the run's gate says of it; it decides nothing. */
  readonly pass: boolean;
  readonly reason: string;
  readonly terms: readonly GateTermRecord[];
}

/** What a journal says, folded. */
export interface History {
  readonly begin: BeginRecord | undefined;
  readonly baseline: BaselineRecord | undefined;
  /** Every wave in order, undone ones included; active when it still is in a tensor of the current state. */
  readonly waves: readonly (WaveJournalRecord & { readonly active: boolean })[];
  /** Which waves count now, tensor by tensor. */
  readonly state: WaveState;
  /** In name order. */
  readonly tags: readonly Tag[];
  /** In the order in which they were made. */
  readonly measurements: readonly StateMeasurement[];
  /** What was done by hand while the run went on, in order. */
  readonly controls: readonly ControlRecord[];
  /** In the order in which they were taken. */
  readonly decisions: readonly DecisionRecord[];
  readonly finished: { readonly reached: boolean; readonly reason: string } | undefined;
  /** A publication that was begun and has not been recorded as done. */
  readonly publishing: boolean;
  /** What is published is not what the active waves make (yet): the run is not over, or a rollback was not finished. */
  readonly stale: boolean;
  /** What is published; undefined before anything is. */
  readonly published: WaveState | undefined;
  /** Digest of the manifest that is published. */
  readonly manifest: string | undefined;
  /** Where the diff of what is published lies. */
  readonly evidence: DiffFiles | undefined;
}

/** History while it is being folded. */
interface Fold extends Omit<History, 'waves' | 'tags' | 'state' | 'measurements' | 'decisions' | 'controls'> {
  readonly waves: WaveJournalRecord[];
  readonly measurements: StateMeasurement[];
  readonly decisions: DecisionRecord[];
  readonly controls: ControlRecord[];
  readonly tags: Map<string, WaveState>;
  state: WaveState;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** What each type of record does to the history. */
const STEPS: Readonly<Record<string, (fold: Mutable<Fold>, record: JournalRecord) => void>> = {
  begin: (fold, record) => {
    fold.begin = record as unknown as BeginRecord;
  },
  baseline: (fold, record) => {
    fold.baseline = record as unknown as BaselineRecord;
  },
  wave: (fold, record) => {
    const wave = record as unknown as WaveJournalRecord;
    fold.waves.push(wave);
    if (wave.verdict === 'committed') fold.state = stateOf(wave.wave, fold.state.tensors);
  },
  control: (fold, record) => {
    fold.controls.push(record as unknown as ControlRecord);
  },
  decision: (fold, record) => {
    fold.decisions.push(record as unknown as DecisionRecord);
  },
  finish: (fold, record) => {
    fold.finished = { reached: record['reached'] as boolean, reason: record['reason'] as string };
  },
  rollback: (fold, record) => {
    // Before there were partial rollbacks, a record had the number of the wave alone.
    fold.state = record['state'] === undefined ? stateAfter(record['to'] as number) : stateIn(record);
    fold.stale = true;
    fold.evidence = undefined;
  },
  tag: (fold, record) => {
    fold.tags.set(record['name'] as string, stateIn(record));
  },
  untag: (fold, record) => {
    fold.tags.delete(record['name'] as string);
  },
  measured: (fold, record) => {
    fold.measurements.push({ ...(record as unknown as StateMeasurement), state: stateIn(record) });
  },
  publish: (fold) => {
    fold.publishing = true;
  },
  published: (fold, record) => {
    fold.publishing = false;
    fold.stale = false;
    fold.published = fold.state;
    fold.manifest = record['manifest'] as string;
  },
  evidence: (fold, record) => {
    fold.evidence = record['files'] as DiffFiles;
  },
};

/**
 * Folds a journal's records into what they mean now. Pure. Throws as `checkRecord`: what a record says that this
 * version does not know may decide what counts, and what may be removed.
 */
export function historyOf(records: readonly JournalRecord[]): History {
  const fold: Mutable<Fold> = {
    begin: undefined,
    baseline: undefined,
    waves: [],
    state: stateAfter(0),
    tags: new Map(),
    measurements: [],
    decisions: [],
    controls: [],
    finished: undefined,
    publishing: false,
    stale: true,
    published: undefined,
    manifest: undefined,
    evidence: undefined,
  };
  for (const record of records) {
    checkRecord(record);
    STEPS[record.type]!(fold, record);
  }
  const tags = [...fold.tags].map(([name, state]) => ({ name, state: settled(state, fold.waves) }));
  const published = fold.published && settled(fold.published, fold.waves);
  const history = { ...fold, published, tags: tags.sort((left, right) => (left.name < right.name ? -1 : 1)) };
  return historyAt({ ...history, waves: fold.waves.map((wave) => ({ ...wave, active: false })) }, fold.state);
}

/** The same history as if `state` were the current one: other waves are active. */
export function historyAt(past: History, state: WaveState): History {
  const now = settled(state, past.waves);
  const included = wavesIn(now, past.waves);
  return { ...past, state: now, waves: past.waves.map((wave) => ({ ...wave, active: included.has(wave.wave) })) };
}

/** Whether every wave that was kept counts for every tensor: nothing has been taken back. */
export function isWhole({ state, waves }: Pick<History, 'state' | 'waves'>): boolean {
  const last = waves.findLast(({ verdict }) => verdict === 'committed')?.wave ?? 0;
  return sameState(state, stateAfter(last));
}

/** The number of the next wave: one that was skipped had one too. */
export function nextWave({ waves, controls }: Pick<History, 'waves' | 'controls'>): number {
  return waves.length + controls.filter(({ action }) => action === 'skip').length + 1;
}

/**
 * Numbers of the waves whose layers must be kept: those of the current state, of each tag, and of what is published. The last is
 * another than the first until a rollback has ended, and what gives the base model back where that is gone.
 */
export function referencedWaves(past: History): ReadonlySet<number> {
  const published = past.published === undefined ? [] : [past.published];
  const states = [past.state, ...published, ...past.tags.map(({ state }) => state)];
  return new Set(states.flatMap((state) => [...wavesIn(state, past.waves)]));
}

/** The state that a checked record holds. */
function stateIn(record: JournalRecord): WaveState {
  const { wave, tensors } = record['state'] as WaveState;
  return stateOf(wave, tensors);
}
