import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { commit, type Machine, machine } from './machine.js';

const here = path.dirname(fileURLToPath(import.meta.url));
const PERFORMANCE = path.resolve(here, '../docs/performance.md');

/** Taken before anything is measured: the working tree may move on meanwhile. */
const measured = commit();

/** Results of one day and commit; a part that runs again replaces its earlier result. */
interface ResultFile {
  readonly date: string;
  readonly commit: string;
  readonly machine: Machine;
  readonly parts: Readonly<Record<string, unknown>>;
}

/** Adds results to bench/results/<date>-<commit>.json and returns the file's name. */
export function keepResults(parts: Readonly<Record<string, unknown>>): string {
  const date = new Date().toISOString().slice(0, 10);
  const file = path.join(here, 'results', `${date}-${measured}.json`);
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as ResultFile).parts : {};
  const results: ResultFile = { date, commit: measured, machine: machine(), parts: { ...before, ...parts } };
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
  return path.relative(process.cwd(), file);
}

/** Writes pictures of a page under docs/; the paths are as the page names them. */
export function writePictures(pictures: Readonly<Record<string, string>>): void {
  for (const [name, svg] of Object.entries(pictures)) {
    const file = path.resolve(path.dirname(PERFORMANCE), name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, svg);
  }
}

/** Puts a table into its section of a page, docs/performance.md by default, with this machine, date and commit below it. */
export function writeSection(name: string, content: string, page = PERFORMANCE): void {
  const { cpu, cores, system, node } = machine();
  const provenance = `*${new Date().toISOString().slice(0, 10)}, commit ${measured}, ${cpu}, ${cores} cores, ${system}, Node ${node}.*`;
  replaceSection(name, `${content}\n\n${provenance}`, page);
}

/** Replaces what is between `<!-- bench:name -->` and `<!-- /bench:name -->` of a page. */
export function replaceSection(name: string, content: string, page = PERFORMANCE): void {
  const [start, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const text = readFileSync(page, 'utf8');
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${page} has no section ${start} … ${end}.`);
  writeFileSync(page, `${text.slice(0, from)}${start}\n${content}\n${text.slice(to)}`);
}

export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
