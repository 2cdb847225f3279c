import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { SweepRow } from './sweep.js';

/** What docs/results/crash-sweep.json keeps of a scenario's last recorded sweep. */
interface Recorded extends SweepRow {
  readonly date: string;
  readonly commit: string;
}

/** Puts rows into docs/results/crash-sweep.json, replacing earlier ones of the same scenario and kind, and writes the page from it. */
export function recordSweep(root: string, rows: readonly SweepRow[]): void {
  const file = path.join(root, 'docs/results/crash-sweep.json');
  const keyOf = ({ command, situation, kind }: SweepRow): string => [command, situation, kind].join('\0');
  const kept = new Map<string, Recorded>();
  if (existsSync(file)) {
    for (const row of JSON.parse(readFileSync(file, 'utf8')) as Recorded[]) kept.set(keyOf(row), row);
  }
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  const date = new Date().toISOString().slice(0, 10);
  for (const row of rows) kept.set(keyOf(row), { ...row, date, commit });
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify([...kept.values()], null, 2)}\n`);
  writeFileSync(path.join(root, 'docs/crash-sweep.md'), page([...kept.values()]));
}

const TITLES = {
  kill: 'Killed with SIGKILL at the call',
  error: 'The call fails (ENOSPC, EIO, EDQUOT, EMFILE), or writes only a part',
};

function page(rows: readonly Recorded[]): string {
  const sections = (['kill', 'error'] as const).map((kind) => {
    const of = rows.filter((row) => row.kind === kind);
    return of.length === 0 ? '' : `\n## ${TITLES[kind]}\n\n${tableOf(of)}\n${of.map(failuresOf).join('')}`;
  });
  return `${PREAMBLE}${sections.join('')}`;
}

function tableOf(rows: readonly Recorded[]): string {
  const head = ['command', 'situation', 'calls', 'points', 'fired', 'before', 'after', 'some of each'];
  const more = ['absent', 'unchanged', 'failures', 'commit'];
  const sum = (of: (row: Recorded) => number): string => String(rows.reduce((total, row) => total + of(row), 0));
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line([...head, ...more]),
    line([...head, ...more].map((_, i) => (i < 2 ? '---' : '--:'))),
    ...rows.map((row) =>
      line([
        ...[row.command, row.situation],
        ...[row.calls, row.trials, row.fired, row.before, row.after, row.mixed, row.absent, row.unchanged].map(String),
        ...[String(row.failures.length), `${row.date}, ${row.commit}`],
      ]),
    ),
    line([
      ...['all', '', sum(({ calls }) => calls), sum(({ trials }) => trials), sum(({ fired }) => fired)],
      ...[sum(({ before }) => before), sum(({ after }) => after), sum(({ mixed }) => mixed)],
      ...[sum(({ absent }) => absent), sum(({ unchanged }) => unchanged)],
      ...[sum(({ failures }) => failures.length), ''],
    ]),
  ].join('\n');
}

function failuresOf({ command, situation, failures }: Recorded): string {
  return failures.map((failure) => `\n- ${command}, ${situation}: ${failure.split('\n')[0]}\n`).join('');
}

const PREAMBLE = `# The crash sweep

Every system call of a command by which something on disk changes (open to create, write, fsync, rename, link, unlink, truncate, mkdir,
rmdir) is a point. strace strikes the command at one point, in a copy of the same state; then the next command has to succeed
without repair. What is checked after each blow: the output is what it was before or what it is after, byte for byte; \`verify\` and
\`check --read-data\` find everything sound; repeating the command gives what an undisturbed run gives; and \`gc\` leaves no
temporary file. \`npm run sweep -- --record\` makes this page; \`--commands\`, \`--kinds\` and \`--sample\` choose. CI runs a sample.

*fired*: strace's log shows that the blow fell; a point whose blow does not fall is no proof. *before*, *after*, *some of each*, *absent*
(no output yet), *unchanged*: how the state stood right after the blow; a state between two renames is settled by the next command.
A failure would be a lost state, an unreadable store, or a command that does not go through.
`;
