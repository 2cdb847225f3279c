import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeFileDurably } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import {
  type Comparison,
  compareScores,
  type Figures,
  judge,
  type PassageScore,
  scorePassages,
  summarize,
  type Verdict,
} from '../evaluation/index.js';
import type { Model } from '../model/index.js';
import type { FileDigest } from '../state/index.js';
import { heldAgainst } from './reference-model.js';
import type { Session } from './session.js';

/** A candidate measured against the dense model on the same passages. */
export interface Measurement {
  readonly figures: Figures;
  readonly comparison: Comparison;
}

/** The dense model's score of every passage: what each wave is compared with, passage by passage. */
export interface Baseline {
  readonly figures: Figures;
  readonly scores: readonly PassageScore[];
}

/** What measuring needs of a session: a rollback has it without the rest of a run. */
export type MeasuringSession = Pick<Session, 'inputs' | 'folder' | 'scoring'>;

const BASELINE_FILE = 'baseline.json';

/**
 * Measures the dense model; the scores go to the state folder so that a resumed run compares with the very same ones.
 * Throws `unsupported` for a model that gives no numbers: every wave would fail against it, hours later.
 */
export async function measureBaseline(session: Session): Promise<{ baseline: Baseline; file: FileDigest }> {
  const { scores } = await scorePassages(heldAgainst(session.inputs), passagesOf(session), session.scoring);
  const baseline = baselineOf(scores, session);
  if (!Number.isFinite(baseline.figures.perplexity)) throw notANumber(session, baseline);
  const text = JSON.stringify(scores);
  await writeFileDurably(path.join(session.folder.root, BASELINE_FILE), text);
  const sha256 = createHash('sha256').update(text).digest('hex');
  return { baseline, file: { name: BASELINE_FILE, sha256 } };
}

function notANumber({ inputs }: Session, { figures }: Baseline): BirdboneError {
  return new BirdboneError(
    'unsupported',
    `The dense model ${inputs.recipe.reference ?? inputs.recipe.model} has a perplexity of ${figures.perplexity} on the gate's text.`,
    {
      suggestions: [
        'Look for weights that are not finite: birdbone inspect MODEL --tensors',
        'Measure it alone: birdbone evaluate MODEL --data FILE',
      ],
    },
  );
}

/** Reads the scores that an interrupted run measured. Throws `mismatch` when the file is not the one the journal names. */
export async function readBaseline(session: MeasuringSession, file: FileDigest): Promise<Baseline> {
  const full = path.join(session.folder.root, file.name);
  const text = await readFile(full, 'utf8');
  if (createHash('sha256').update(text).digest('hex') !== file.sha256) {
    throw new BirdboneError('mismatch', `${full} is not what the journal recorded.`, {
      file: full,
      suggestions: ['Begin anew: --restart'],
    });
  }
  return baselineOf(JSON.parse(text) as PassageScore[], session);
}

function baselineOf(scores: readonly PassageScore[], session: MeasuringSession): Baseline {
  return { scores, figures: summarize(scores, { seed: session.inputs.recipe.seed }) };
}

/**
 * Measures a candidate on the gate's text. The base model runs beside it for what needs its logits (KL divergence, agreement): all
 * that a run monitors, or, where `onlyGate` says so, what its gate names and nothing besides.
 */
export async function measure(
  candidate: Model,
  baseline: Baseline,
  session: MeasuringSession,
  { onlyGate = false }: { readonly onlyGate?: boolean } = {},
): Promise<Measurement> {
  const { inputs, scoring } = session;
  // What heals is judged by its divergence from the dense model, and so is what it begins with.
  const needsDivergence = inputs.recipe.monitor === 'full' || inputs.edits.some(({ heals }) => heals === true);
  const withBase = inputs.gate.needsBaseLogits || (!onlyGate && needsDivergence);
  const base = withBase ? { base: heldAgainst(inputs) } : {};
  const { scores, comparisons } = await scorePassages(candidate, passagesOf(session), { ...scoring, ...base });
  const seed = { seed: inputs.recipe.seed };
  return {
    figures: summarize(scores, seed),
    comparison: compareScores(baseline.scores, scores, { ...seed, ...(comparisons && { comparisons }) }),
  };
}

/** The gate's word on a measurement. */
export function verdictOn(
  { figures, comparison }: Measurement,
  baseline: Baseline,
  { inputs }: MeasuringSession,
): Verdict {
  const { gate, recipe } = inputs;
  return judge(gate, { base: baseline.figures, now: figures, comparison, confident: recipe.gateConfident });
}

function passagesOf(session: MeasuringSession) {
  const { evaluation } = session.inputs;
  if (evaluation === undefined) throw new Error('nothing to measure on');
  return evaluation.passages;
}
