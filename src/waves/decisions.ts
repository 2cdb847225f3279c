import type { Decide } from '../pruning/index.js';
import { history, type Session } from './session.js';

/**
 * What a wave's edit takes its decisions by: one that is in the journal already is what it was, also when the run was killed in
 * between; another is in the journal before it is returned, and so before anything follows from it.
 */
export function decisionsOf(session: Pick<Session, 'journal'>, wave: number): Decide {
  return async <Value extends object>(name: string, make: () => Promise<Value>) => {
    const taken = history(session).decisions.findLast((each) => each.wave === wave && each.name === name);
    if (taken !== undefined) return taken.value as Value;
    const value = await make();
    await session.journal.append({ type: 'decision', wave, name, value });
    return value;
  };
}
