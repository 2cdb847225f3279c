import type { Model } from '../model/index.js';
import { Marks, type PlateAddress, parsePlateId, plateGraph } from '../plates/index.js';
import type { History, SelectiveRollback } from '../state/index.js';
import { findCulprits, type SearchLimits } from './group-testing.js';
import { marksLayer } from './marks-layer.js';
import { type Baseline, measure, verdictOn } from './measure.js';
import type { Session } from './session.js';
import { type StackableLayer, stacked } from './stack.js';

/**
 * More than three plates that each break the gate are no exceptions, and a smaller step is the better answer. The tests are those
 * of three culprits among 250 plates, each a measurement on the gate's text.
 */
const LIMITS: SearchLimits = { culprits: 3, tests: 52 };

/** A wave may be repaired twice at one target: the plates that come in for those that are spared may do harm too. */
const MAX_REPAIRS = 2;

/** A wave that failed its gate: what it was proposed over, and what it shed. */
export interface FailedWave {
  readonly kept: Model;
  readonly layers: readonly StackableLayer[];
  readonly shed: Marks;
}

/** Whether a wave that failed may be searched for culprits: it sheds several plates, and was not repaired too often before. */
export function isRepairable(
  past: History,
  at: { readonly step: number; readonly target: number },
  shed: Marks,
): boolean {
  if (shed.size < 2) return false;
  const before = past.waves.findLastIndex((wave) => !isRepairOf(wave, at));
  return past.waves.length - 1 - before < MAX_REPAIRS;
}

function isRepairOf(wave: History['waves'][number], at: { readonly step: number; readonly target: number }): boolean {
  return wave.step === at.step && wave.target === at.target && wave.selective?.outcome === 'found';
}

/**
 * Finds the plates of a wave that break its gate, by group testing: sets of them are zeroed over the model as it was before the
 * wave, in memory, and measured on the gate's text. What else the wave has changed (what was folded into other weights) is left
 * out; so the wave has to be proposed and measured again without the culprits, and only that decides.
 */
export async function findCulpritPlates(
  { kept, layers, shed }: FailedWave,
  baseline: Baseline,
  session: Session,
): Promise<{ readonly record: SelectiveRollback; readonly text: string }> {
  const { report, inputs } = session;
  const graph = plateGraph(kept.decoder);
  const plates = [...shed.ids()].map(parsePlateId);
  report({
    type: 'notice',
    message: `Looking for the plates that broke the gate, with ${LIMITS.tests} measurements at most.`,
  });
  let tested = 0;
  const fails = async (subset: readonly PlateAddress[]) => {
    report({ type: 'progress', stage: 'search', done: tested, total: LIMITS.tests, unit: 'measurements' });
    tested += 1;
    const without = await stacked(inputs.model, [...layers, marksLayer(graph, Marks.of(subset))]);
    return !verdictOn(await measure(without, baseline, session, { onlyGate: true }), baseline, session).pass;
  };
  const { outcome, culprits, tests } = await findCulprits(plates, fails, LIMITS);
  const blamed = Marks.of(culprits);
  const record: SelectiveRollback = {
    outcome,
    plates: plates.length,
    culprits: { ...blamed.toJSON() },
    culpritCount: blamed.size,
    measurements: tests,
  };
  return { record, text: selectiveText(record, [...blamed.ids()]) };
}

/** What a search found, as the end of the sentence that says why a wave was rolled back. */
function selectiveText(found: SelectiveRollback, culprits: readonly string[]): string {
  const took = `${found.measurements} measurements`;
  switch (found.outcome) {
    case 'found': {
      return `${culprits.join(', ')} of its ${found.plates} plates did it (${took}), which the next wave spares`;
    }
    case 'together':
      return `no single one of its ${found.plates} plates did it (${took})`;
    case 'absent':
      return `its ${found.plates} plates pass by themselves, so what was changed besides did it (${took})`;
    case 'too-many':
      return `more than ${found.culpritCount} of its ${found.plates} plates do it each by itself (${took})`;
    case 'too-long':
      return `the search for plates that did it ended at its limit (${took})`;
  }
}
