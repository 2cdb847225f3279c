export interface FileDigest {
  readonly name: string;
  readonly sha256: string;
}

/** One term of a gate and what it was measured at: the audit log of a decision. */
export interface GateTermRecord {
  readonly metric: string;
  readonly value: number;
  readonly limit: number;
  readonly interval?: readonly [number, number];
  readonly pass: boolean;
}

/**
 * Plates as a journal holds them: the JSON form of `Marks` (src/plates), which alone knows what its texts mean. Here it is known
 * to be small, flat and made of texts.
 */
export type PlatesJson = Readonly<Record<string, unknown>>;

/** How far each block's output is from the dense model's; see `blockErrors` (src/evaluation). */
export interface BlockMonitor {
  /** Relative Frobenius error of each block's output. */
  readonly errors: readonly number[];
  /** The first block with a tenth of the largest error: where damage starts; null where there is none. */
  readonly startsAt: number | null;
  readonly passages: number;
}

/** What a wave took, and what that cost, against the last wave that was kept before it. */
export interface Effectiveness {
  /** Parameters that this wave removed. */
  readonly parameters: number;
  /** Accuracy before less accuracy after, as fractions of all tokens; negative for a gain. */
  readonly accuracyLost: number;
  /** Perplexity after less perplexity before. */
  readonly perplexityAdded: number;
  /** Parameters for one percentage point of accuracy, and for one of perplexity; null where nothing was lost. */
  readonly perAccuracyPoint: number | null;
  readonly perPerplexity: number | null;
}

/** A control chart that has sounded: damage comes faster than in the waves before, though the gate has let it through. */
export interface Warning {
  /** What was charted: accuracy lost, or one block's output error, each for a parameter removed. */
  readonly series: 'accuracy' | 'block';
  /** Of the series `block`. */
  readonly block?: number;
  readonly chart: 'cusum' | 'ewma';
  readonly value: number;
  readonly limit: number;
  /** `spike`: this wave alone has jumped. `degrading`: both charts of its series sound. As the severities of src/spikes. */
  readonly severity?: 'slight' | 'degrading' | 'spike';
  /** In words. */
  readonly reason: string;
}

/** What a selective rollback has found out about a wave that failed its gate. */
export interface SelectiveRollback {
  /**
   * `found`: without the culprits the rest of the wave passes. Otherwise the whole wave is to blame: its plates do harm only
   * together, or not by themselves (`absent`: what was changed besides does it), or a limit of the search was reached.
   */
  readonly outcome: 'found' | 'together' | 'absent' | 'too-many' | 'too-long';
  /** Plates of the wave. */
  readonly plates: number;
  /** Those that did the damage. */
  readonly culprits: PlatesJson;
  readonly culpritCount: number;
  /** Measurements that the search took. */
  readonly measurements: number;
}

/** An error as the waves before foretold it, the interval that it was to lie in nine times in ten, and what it came to. */
export interface ForetoldFigure {
  readonly expected: number;
  readonly low: number;
  readonly high: number;
  readonly actual: number;
}

/** What the waves before said of a wave; see `predictWave` (src/damage). */
export interface ForetoldDamage {
  /** Waves that it was learnt from. */
  readonly learntFrom: number;
  /** Relative error of each block's output. */
  readonly blocks: readonly (ForetoldFigure & { readonly block: number })[];
  readonly kl?: ForetoldFigure;
}

/** Where the numbers of a wave ended; see `findNotFinite` (src/evaluation). */
export interface EmergencyStop {
  readonly block?: number;
  readonly tensor: string;
  readonly cause: 'value' | 'overflow';
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
  /** What follows is absent where it does not apply, and in journals of versions before it was known. */
  /** The wave's layer lies over the model as the marks of the waves before have cut it, not over the base's shapes. */
  readonly shapes?: 'final';
  /** What the edit has to say of its layer, by what it is about. */
  readonly details?: Readonly<Record<string, readonly object[]>>;
  /** The plates that this wave sheds. */
  readonly plates?: PlatesJson;
  /** Elements removed from the step's tensors after this wave, and how many they have. */
  readonly removed?: { readonly parameters: number; readonly of: number };
  readonly blocks?: BlockMonitor;
  readonly effectiveness?: Effectiveness;
  readonly foretold?: ForetoldDamage;
  readonly warnings?: readonly Warning[];
  readonly selective?: SelectiveRollback;
  readonly stopped?: EmergencyStop;
  /** Not kept because less may go than was to, whatever a gate would say; `reason` says why. */
  readonly limit?: true;
}
