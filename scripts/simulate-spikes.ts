/**
 * Simulates trainings with and without faults and writes how often the detectors of loss spikes find them, how soon, and how often
 * they act without one, to docs/spikes.md (between its marks). Usage: tsx scripts/simulate-spikes.ts [SERIES], 300 by default.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { CALM, FAULT_AT, FAULTS, STEPS } from './spikes/series.js';
import { type Performance, RULES, watch } from './spikes/watch.js';

const DOCUMENT = new URL('../docs/spikes.md', import.meta.url);
const [BEGIN, END] = ['<!-- simulated: begin -->', '<!-- simulated: end -->'];

const count = Number(process.argv[2] ?? 300);
if (!Number.isInteger(count) || count < 1) throw new Error('usage: tsx scripts/simulate-spikes.ts [SERIES]');

const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const day = new Date().toISOString().slice(0, 10);

const names = RULES.map(({ name }) => name);
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const table = (header: readonly string[], rows: readonly (readonly string[])[]) =>
  [row(header), row(header.map(() => '---')), ...rows.map(row)].join('\n');

const calmRows = CALM.map((calm) => {
  const found = watch(calm, undefined, count);
  console.log(calm.name);
  return [calm.name, ...names.map((name) => rate(found.get(name)!))];
});

const parts: string[] = [];
for (const calm of CALM) {
  const rows = FAULTS.map((fault) => {
    const found = watch(calm, fault, count);
    console.log(calm.name, fault.name);
    const cells = names.map((name) => powerOf(found.get(name)!));
    return [fault.harmless ? `${fault.name} (harmless)` : fault.name, ...cells];
  });
  parts.push(`### ${calm.name}\n\n${table(['fault', ...names], rows)}`);
}

const trainings = count * (CALM.length * (1 + FAULTS.length));
const text = `Measured ${day} at ${commit}, \`tsx scripts/simulate-spikes.ts ${count}\`: ${trainings} series of ${STEPS} steps with ${count} seeds, faults
from step ${FAULT_AT} on.

### Without a fault: actions in 1000 steps

${table(['noise', ...names], calmRows)}

### With a fault: how often found within ${STEPS - FAULT_AT} steps, and after how many (median)

${parts.join('\n\n')}`;

const document = readFileSync(DOCUMENT, 'utf8');
const [before, rest] = document.split(BEGIN);
const after = rest?.split(END)[1];
if (before === undefined || after === undefined) throw new Error(`docs/spikes.md has no ${BEGIN} … ${END}`);
writeFileSync(DOCUMENT, `${before}${BEGIN}\n${text}\n${END}${after}`);

function rate({ falseAlarms }: Performance): string {
  return falseAlarms === 0 ? '0' : falseAlarms.toPrecision(2);
}

function powerOf({ power, delay, series }: Performance): string {
  if (series === 0) return '–';
  return delay === null ? '0 %' : `${(100 * power).toFixed(0)} %, ${delay}`;
}
