import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { FuzzResult } from './run-format.js';

const RESULTS = 'docs/results/fuzzing.json';

/** What docs/results/fuzzing.json keeps of a format's last recorded run. */
interface Row extends Omit<FuzzResult, 'findings'> {
  readonly findings: readonly string[];
  readonly date: string;
  readonly commit: string;
}

/** Mutations that are recorded of a format under a seed: where a run that goes on begins. */
export function recordedMutations(root: string, format: string, seed: number): number {
  const row = readRows(root).get(format);
  return row?.seed === seed ? row.mutations : 0;
}

/**
 * Puts results into docs/results/fuzzing.json and writes docs/fuzzing.md from it. They replace earlier ones of the same formats, or
 * are added to them where the run went on from there.
 */
export function recordResults(root: string, results: readonly FuzzResult[], goesOn: boolean): void {
  const file = path.join(root, RESULTS);
  const rows = readRows(root);
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  const date = new Date().toISOString().slice(0, 10);
  for (const result of results) {
    const findings = result.findings.map(({ kind, index, signature }) => `${kind} at ${index}: ${signature}`);
    const row = { ...result, findings, date, commit };
    const before = rows.get(result.format);
    rows.set(result.format, goesOn && before?.seed === result.seed ? together(before, row) : row);
  }
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify([...rows.values()], null, 2)}\n`);
  writeFileSync(path.join(root, 'docs/fuzzing.md'), page([...rows.values()]));
}

function readRows(root: string): Map<string, Row> {
  const file = path.join(root, RESULTS);
  const rows = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Row[]) : [];
  return new Map(rows.map((row) => [row.format, row]));
}

/** Two runs over mutations that follow each other. */
function together(first: Row, second: Row): Row {
  const slowest = first.slowestMilliseconds >= second.slowestMilliseconds ? first : second;
  const commits = [...new Set([...first.commit.split(', '), second.commit])];
  return {
    ...second,
    mutations: first.mutations + second.mutations,
    opened: first.opened + second.opened,
    refused: first.refused + second.refused,
    crashes: first.crashes + second.crashes,
    hangs: first.hangs + second.hangs,
    overMemory: first.overMemory + second.overMemory,
    slowestMilliseconds: slowest.slowestMilliseconds,
    slowestIndex: slowest.slowestIndex,
    peakBytes: Math.max(first.peakBytes, second.peakBytes),
    seconds: first.seconds + second.seconds,
    findings: [...first.findings, ...second.findings],
    commit: commits.join(', '),
  };
}

function page(rows: readonly Row[]): string {
  const cells = (row: Row) => [
    row.format,
    row.mutations.toLocaleString('en'),
    String(row.seed),
    String(row.crashes),
    String(row.hangs),
    String(row.overMemory),
    row.opened.toLocaleString('en'),
    row.refused.toLocaleString('en'),
    row.slowestMilliseconds.toFixed(1),
    String(Math.round(row.peakBytes / 2 ** 20)),
    Math.round(row.mutations / row.seconds).toLocaleString('en'),
    row.date,
    row.commit,
  ];
  const line = (items: readonly string[]) => `| ${items.join(' | ')} |`;
  const head = [
    ...['format', 'mutations', 'seed', 'crashes', 'hangs', 'over memory', 'opened', 'refused'],
    ...['slowest (ms)', 'peak RSS (MiB)', 'a second', 'date', 'commit'],
  ];
  const table = [
    line(head),
    line(head.map((_, i) => (i === 0 ? '---' : '--:'))),
    ...rows.map((row) => line(cells(row))),
  ];
  return `${PREAMBLE}\n${table.join('\n')}\n${rows.flatMap(findingLines).join('\n')}`;
}

function findingLines({ format, findings }: Row): string[] {
  return findings.map((finding) => `\n- ${format}: ${finding}`);
}

const PREAMBLE = `# Fuzzing the readers

\`npm run fuzz -- --mutations 5000000 --record\` builds sound files of each format in memory, breaks them, and gives them to the
readers that the commands use. A mutation knows its format: it changes lengths, counts, offsets, types, keys and their number,
opcodes and zip fields, to values at which arithmetic breaks (2^31, 2^32, 2^53, 2^63, 2^64 − 1 and their neighbours), and only then,
sometimes, bits and bytes. Mutation *n* of a seed is always the same file: \`--format gguf --seed 1 --replay n\` runs it alone.

A file may end in two ways. It **opens**: then every size is what shape and type say, every tensor lies within the file and apart
from the others, reads of its ends return as many bytes as were asked for, and for safetensors a second implementation, written from
the reference's rules, reads the same. Or it is **refused**: with a typed error that names the file and can be printed on a terminal.
Anything else is a finding: another exception (*crash*), more than a second (*hang*), more than 64 MB on top of what was there, or the
death of the process (*over memory*). Findings are made smaller and kept in test/hostile/corpus/, which the tests replay; the tests
also run a few thousand mutations of each format (test/hostile/fuzz-sample.test.ts).

Long runs can be made in pieces: \`--mutations 250000 --continue --record\` begins where the recorded run of that seed ended and adds to
it. The worker processes run with a heap limit, watched by a parent that replaces one that dies or hangs and finds out by which mutation.
The slowest mutation is the least of three runs of it; the peak is the whole worker's, Node included.
`;
