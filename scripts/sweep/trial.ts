import type { Kind, PlannedBlow } from './blows.js';
import { ageTemporaries, contentsOf, differenceOf } from './folder-state.js';
import type { Lane, Prepared } from './lane.js';
import type { Struck } from './strace.js';

/**
 * How the parts stood right after the blow. Absent: an output between the two renames that exchange it. Unchanged: the
 * command changes none of the parts. */
export type Standing = 'before' | 'after' | 'some of each' | 'absent' | 'unchanged';

export interface Trial {
  /** Of the blow. */
  readonly name: string;
  readonly fired: boolean;
  readonly standing: Standing;
  /** Exit code of the victim; null after a kill. */
  readonly code: number | null;
  /** What was not as it must be. */
  readonly failure?: string;
}

/** Exit codes for what the machine did: unreadable and out of resources (src/errors.ts). 1 would be a bug of ours. */
const SYSTEM_FAILED: ReadonlySet<number | null> = new Set([3, 6]);

/** Strikes once; then the state must be the old or the new one, and the next command must need no repair. */
export async function tryOnce(lane: Lane, prepared: Prepared, blow: PlannedBlow): Promise<Trial> {
  const { name, kind } = blow;
  const struck = await blow.deal(lane, prepared);
  const { fired, code } = struck;
  let standing: Standing = 'some of each';
  try {
    standing = standingOf(lane, prepared);
    checkEnding(struck, kind, standing);
    if (standing !== 'absent') await checkReaders(lane, prepared);
    await checkRecovery(lane, prepared, standing);
    return { name, fired, standing, code };
  } catch (error) {
    return { name, fired, standing, code, failure: error instanceof Error ? error.message : String(error) };
  }
}

/** Throws for a part that is neither as before nor as after. */
function standingOf(lane: Lane, { scenario, before, after }: Prepared): Standing {
  const now = lane.digests(scenario);
  const changing = scenario.parts.filter((part) => before[part] !== after[part]);
  let isAbsent = false;
  for (const part of scenario.parts) {
    if (now[part] === before[part] || now[part] === after[part]) continue;
    if (!lane.isAbsent(part)) throw new Error(`${part} is neither as before nor as after`);
    isAbsent = true;
  }
  if (isAbsent) return 'absent';
  if (changing.length === 0) return 'unchanged';
  if (changing.every((part) => now[part] === after[part])) return 'after';
  return changing.every((part) => now[part] === before[part]) ? 'before' : 'some of each';
}

function checkEnding({ code, signal, stderr, fired }: Struck, kind: Kind, standing: Standing): void {
  if (!fired) {
    if (code !== 0) throw new Error(`it ended with ${code} though nothing struck it: ${stderr.slice(0, 300)}`);
    return;
  }
  if (kind === 'kill') {
    if (code === 0) throw new Error('it ended with 0 though it was killed');
    return;
  }
  if (code === 0) {
    // A failure to tidy up may be passed over; one to write may not.
    if (standing !== 'after' && standing !== 'unchanged')
      throw new Error(`it ended with 0, and the state is ${standing}`);
    return;
  }
  if (!SYSTEM_FAILED.has(code)) throw new Error(`it ended with ${code ?? signal}: ${stderr.slice(0, 300)}`);
  if (!stderr.includes('Error: ')) throw new Error(`it ended with ${code} without saying why`);
}

/** What only reads must read what the blow left: nothing yet, as before, or a state. */
async function checkReaders(lane: Lane, { scenario, heardBefore, heardAfter }: Prepared): Promise<void> {
  const codes = (await lane.listen(scenario)).map(({ code }) => code);
  const wrong = codes.findIndex(
    (code, i) => code !== 0 && code !== heardBefore[i]!.code && code !== heardAfter[i]!.code,
  );
  if (wrong !== -1)
    throw new Error(`right after the blow, ${scenario.readers[wrong]!.join(' ')} ended with ${codes[wrong]}`);
}

async function checkRecovery(lane: Lane, prepared: Prepared, standing: Standing): Promise<void> {
  const { scenario, after, heardAfter, contents } = prepared;
  ageTemporaries(lane.folder);
  if (scenario.replacesNothing !== true || standing !== 'after') await lane.run(scenario.retry);
  const now = lane.digests(scenario);
  const wrong = scenario.parts.find((part) => now[part] !== after[part]);
  if (wrong !== undefined) throw new Error(`after the retry, ${wrong} is not what an undisturbed run makes`);
  await lane.clean(scenario);
  const difference = differenceOf(contentsOf(lane.folder), contents);
  if (difference !== undefined) throw new Error(`after cleaning, ${difference}`);
  const heard = await lane.listen(scenario);
  const differs = heard.findIndex(({ code }, i) => code !== heardAfter[i]!.code);
  if (differs === -1) return;
  throw new Error(`after cleaning, ${scenario.readers[differs]!.join(' ')} says: ${heard[differs]!.output}`);
}
