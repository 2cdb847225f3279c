import { baselineOf, LEARNS, levelOf } from './baseline.js';
import { actionOf, type Evidence, reasonOf, severityOf, stillSounding, suddenWeight } from './ensemble.js';
import { chartVotes, QUIET, trendVote } from './gradual.js';
import type { Observed, SpikeDetector, SpikeReading, TrainingStep, Vote } from './reading.js';
import { SPIKE_SETTINGS, type SpikeSettings } from './settings.js';
import { BEGINNING, type SpikeState } from './state.js';
import { notFiniteVote, suddenVotes } from './sudden.js';

/**
 * The ensemble of detectors that docs/spikes.md describes. Until `LEARNS` steps have been seen only numbers that are none are found.
 */
export function spikeDetector(settings: SpikeSettings = SPIKE_SETTINGS): SpikeDetector<SpikeState> {
  return { begin: () => BEGINNING, observe: (state, step) => observe(state, step, settings) };
}

function observe(state: SpikeState, step: TrainingStep, settings: SpikeSettings): Observed<SpikeState> {
  const broken = notFiniteVote(step);
  // What is no number is nothing to learn from.
  if (broken.alarm) return { state, reading: readingOf(step, [broken], { state, evidence: NOTHING }) };
  const baseline = state.levels.length < LEARNS ? undefined : baselineOf(state.levels);
  const sudden = baseline === undefined ? [] : suddenVotes(step, state, baseline, settings);
  const charts = baseline === undefined ? QUIET : chartVotes(step, state, baseline, settings);
  const trend = baseline === undefined ? QUIET : trendVote(step, state, baseline, settings);
  const votes = [broken, ...sudden, ...charts.votes, ...trend.votes];
  const now = [...charts.sounded, ...trend.sounded];
  const evidence: Evidence = {
    sudden: suddenWeight(votes),
    suddenBefore: state.before?.weight ?? 0,
    gradual: stillSounding(state, now, settings.trendSteps),
    soundsNow: now.length > 0,
  };
  const next: SpikeState = {
    ...taken(state, step, settings),
    ...charts.next,
    ...trend.next,
    before: evidence.sudden > 0 ? { step: step.step, weight: evidence.sudden } : null,
    lately: evidence.gradual,
  };
  return { state: next, reading: readingOf(step, votes, { state, evidence }) };
}

const NOTHING: Evidence = { sudden: 0, suddenBefore: 0, gradual: [], soundsNow: false };

function readingOf(
  { step }: TrainingStep,
  votes: readonly Vote[],
  { state, evidence }: { readonly state: SpikeState; readonly evidence: Evidence },
): SpikeReading {
  const severity = severityOf(votes, evidence);
  const action = actionOf(severity);
  const reading = { step, severity, votes, action, reason: reasonOf(votes) };
  if (action === 'go-on') return reading;
  if (severity !== 'degrading') return { ...reading, since: state.before?.step ?? step };
  return { ...reading, since: Math.min(...evidence.gradual.map(({ since }) => since)) };
}

/** The state with one more step in its window. */
function taken(state: SpikeState, { loss, gradientNorm }: TrainingStep, settings: SpikeSettings): SpikeState {
  const { window, averageWeight } = settings;
  const { gradients, average } = state;
  return {
    ...state,
    levels: [...state.levels, levelOf(loss)].slice(-window),
    gradients: gradientNorm === undefined ? gradients : [...gradients, gradientNorm].slice(-window),
    count: state.count + 1,
    average: average === null ? loss : averageWeight * loss + (1 - averageWeight) * average,
  };
}
