import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { KINDS, type Kind } from './blows.js';
import type { SweepRow } from './sweep.js';

/** What docs/results/crash-sweep.json keeps of the last recorded sweep of a command in a situation. */
interface Row extends SweepRow {
  readonly date: string;
  readonly commit: string;
}

/** Puts rows into docs/results/crash-sweep.json, replacing earlier ones of the same sweeps, and writes docs/crash-sweep.md from it. */
export function recordSweep(root: string, swept: readonly SweepRow[]): void {
  const file = path.join(root, 'docs/results/crash-sweep.json');
  const rows = new Map<string, Row>();
  const keyOf = ({ command, situation, kind }: SweepRow) => `${kind} ${command} ${situation}`;
  if (existsSync(file)) for (const row of JSON.parse(readFileSync(file, 'utf8')) as Row[]) rows.set(keyOf(row), row);
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  const date = new Date().toISOString().slice(0, 10);
  for (const row of swept) rows.set(keyOf(row), { ...row, date, commit });
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify([...rows.values()], null, 2)}\n`);
  writeFileSync(path.join(root, 'docs/crash-sweep.md'), page([...rows.values()]));
}

const TITLES: Readonly<Record<Kind, string>> = {
  kill: 'Killed before a system call',
  error: 'An error of a system call',
  full: 'A disk that fills up',
};

function page(rows: readonly Row[]): string {
  const sections = KINDS.map((kind) => {
    const found = rows.filter((row) => row.kind === kind);
    return found.length === 0 ? '' : `\n## ${TITLES[kind]}\n\n${table(found)}\n`;
  });
  return `${PREAMBLE}${sections.join('')}`;
}

const HEAD = [
  ...[
    'command',
    'situation',
    'calls',
    'trials',
    'fired',
    'as before',
    'as after',
    'some of each',
    'absent',
    'unchanged',
  ],
  ...['failures', 'date', 'commit'],
];

function table(rows: readonly Row[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  const sum = (value: (row: Row) => number) => rows.reduce((total, row) => total + value(row), 0).toLocaleString('en');
  const counts: ((row: Row) => number)[] = [
    ...[(row: Row) => row.calls, (row: Row) => row.trials, (row: Row) => row.fired, (row: Row) => row.before],
    ...[(row: Row) => row.after, (row: Row) => row.mixed, (row: Row) => row.absent, (row: Row) => row.unchanged],
    (row: Row) => row.failures.length,
  ];
  const cells = (row: Row) => [row.command, row.situation, ...counts.map((of) => of(row)), row.date, row.commit];
  const failures = rows.flatMap(({ command, situation, failures: found }) =>
    found.map((failure) => `- ${command}, ${situation}: ${failure.split('\n')[0]}`),
  );
  return [
    line(HEAD),
    line(HEAD.map((_, i) => (i < 2 ? '---' : '--:'))),
    ...rows.map((row) => line(cells(row))),
    line(['all', '', ...counts.map(sum), '', '']),
    ...(failures.length === 0 ? [] : ['', ...failures]),
  ].join('\n');
}

const PREAMBLE = `# Cut short at every system call

\`npm run sweep -- --record\` runs birdbone's commands on a tiny model in all the situations below and cuts each of them short,
once for every system call that changes something in the workplace (files made, written, synced, renamed, linked and removed;
folders too), by strace:

- **kill**: SIGKILL when the command is about to make the call.
- **error**: the call ends with ENOSPC, EDQUOT or EIO; EMFILE too where a file is opened, EIO alone where one is removed; a write that
  writes nothing. One call a trial; the next ones work again.
- **full**: the workplace is a file system of its own that has no room left after so many pages. Writes are then short before they
  fail, and clearing up has to do without room as well.

Right after the blow, every output must be as before or as after, byte for byte, and \`log\`, \`verify\` and \`check --read-data\` must
work as they did. After an error the command must have ended with exit code 3 or 6 and a message; with 0 only when the result is
complete. Then the command is typed again (with --resume for a prune), must end well without any repair, and must leave the bytes of
an undisturbed run. After \`gc --grace 0\` every file of the workplace, the journal's times aside, must be as if nothing had happened:
nothing leaks. Files that a killed writer left beside a manifest, a diff or a converted model are a day old then: younger ones might
be somebody's.

*calls* are those of the undisturbed command; *fired* counts the trials in which strace's log, or the victim's death, shows that the
blow fell. *As before* to *absent* say how the outputs stood right after: with several, some may be old and some new. *Absent* is an
output folder between the two renames that exchange it, which the next command settles. *Unchanged*: the command changes no output.

Traps, all of them met: strace counts \`when=\` for each thread, so Node gets one thread for files (UV_THREADPOOL_SIZE=1) and no
io_uring (UV_USE_IO_URING=0); random names are fixed in advance, so that calls can be told by their paths; strace 6.1 injects no signal
where it stops at chosen calls alone (--seccomp-bpf), so a victim is held before the call and killed there.

A sample runs with the tests (test/state/sweep-sample.test.ts).
`;
