import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The files that take longest, the longest first. A clean clone has no record of how long each took, and one of these begun last
 * would keep one core busy while the other has nothing left. `.ci/run` prints what they took.
 */
const SLOW = [
  'contract/commands',
  'repository/pre-commit',
  'waves/kill',
  'bin',
  'state/sweep-sample',
  'waves/heal',
  'commands/control',
  'commands/history',
  'commands/memory',
  'model/shared-models',
  'waves/run',
  'hostile/cluster-file',
];

const root = path.resolve(import.meta.dirname, '..');

function rank({ moduleId, project }: TestSpecification): number {
  const slow = SLOW.indexOf(
    path
      .relative(root, moduleId)
      .replaceAll(path.sep, '/')
      .replace(/\.test\.ts$/, ''),
  );
  if (slow !== -1) return slow;
  // A process goes on with the next file only when that may share it too.
  return SLOW.length + (project.config.isolate ? 0 : 1);
}

/** Begins with the slow files, and ends with those that share a process. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
