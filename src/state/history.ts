import type { Recipe } from '../recipe.js';
import type { DeviceName } from '../tensor/index.js';
import type { JournalRecord } from './journal.js';

export interface FileDigest {
  readonly name: string;
  readonly sha256: string;
}

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
  readonly calibration?: FileDigest;
  readonly evaluation?: FileDigest;
}

export interface BaselineRecord {
  readonly type: 'baseline';
  readonly figures: Readonly<Record<string, number>>;
  /** File in the state folder with the dense model's score of every passage, and its digest. */
  readonly scores: FileDigest;
}

/** One term of a gate and what it was measured at: the audit log of a decision. */
export interface GateTermRecord {
  readonly metric: string;
  readonly value: number;
  readonly limit: number;
  readonly interval?: readonly [number, number];
  readonly pass: boolean;
}

export interface WaveJournalRecord {
  readonly type: 'wave';
  readonly wave: number;
  readonly step: number;
  readonly target: number;
  readonly sparsity: number;
  /** False when the step was too small to remove a weight more. */
  readonly changed: boolean;
  readonly layers: readonly { readonly name: string; readonly sparsity: number }[];
  readonly layer: FileDigest;
  readonly verdict: 'committed' | 'rolled-back';
  readonly reason: string;
  readonly terms: readonly GateTermRecord[];
  readonly figures: Readonly<Record<string, number>>;
}

export interface DiffFiles {
  readonly json: string;
  readonly markdown: string;
}

/** What a journal says, folded. */
export interface History {
  readonly begin: BeginRecord | undefined;
  readonly baseline: BaselineRecord | undefined;
  /** Every wave in order, undone ones included. */
  readonly waves: readonly (WaveJournalRecord & { readonly active: boolean })[];
  readonly finished: { readonly reached: boolean; readonly reason: string } | undefined;
  /** A publication that was begun and has not been recorded as done. */
  readonly publishing: boolean;
  /** What is published is not what the active waves make (yet): the run is not over, or a rollback was not finished. */
  readonly stale: boolean;
  /** Digest of the manifest that is published. */
  readonly manifest: string | undefined;
  /** Where the diff of what is published lies. */
  readonly evidence: DiffFiles | undefined;
  /** The last wave that a `rollback` left active. */
  readonly rolledBackTo: number | undefined;
}

/** Folds a journal's records into what they mean now. Pure. */
export function historyOf(records: readonly JournalRecord[]): History {
  let begin: BeginRecord | undefined;
  let baseline: BaselineRecord | undefined;
  let waves: WaveJournalRecord[] = [];
  let last = Number.POSITIVE_INFINITY;
  let stale = true;
  let finished: History['finished'];
  let publishing = false;
  let manifest: string | undefined;
  let evidence: DiffFiles | undefined;
  for (const record of records as readonly (JournalRecord & Record<string, unknown>)[]) {
    switch (record.type) {
      case 'begin':
        begin = record as unknown as BeginRecord;
        break;
      case 'baseline':
        baseline = record as unknown as BaselineRecord;
        break;
      case 'wave':
        waves = [...waves, record as unknown as WaveJournalRecord];
        break;
      case 'finish':
        finished = { reached: record['reached'] as boolean, reason: record['reason'] as string };
        break;
      case 'rollback':
        last = record['to'] as number;
        stale = true;
        evidence = undefined;
        break;
      case 'publish':
        publishing = true;
        break;
      case 'published':
        publishing = false;
        stale = false;
        manifest = record['manifest'] as string;
        break;
      case 'evidence':
        evidence = record['files'] as DiffFiles;
        break;
    }
  }
  const marked = waves.map((wave) => ({ ...wave, active: wave.verdict === 'committed' && wave.wave <= last }));
  return {
    begin,
    baseline,
    waves: marked,
    finished,
    publishing,
    stale,
    manifest,
    evidence,
    rolledBackTo: Number.isFinite(last) ? last : undefined,
  };
}
