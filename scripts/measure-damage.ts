/**
 * Measures what docs/damage.md says: prunes a model in eight equal steps to 80 % without a gate, and keeps of each wave the output error, the
 * perplexity and what was foretold; then how well a block's error is followed to the output. Results go to docs/results/damage.json,
 * tables to docs/damage.md. Usage: tsx scripts/measure-damage.ts MODEL CALIBRATION EVALUATION METRIC; without arguments it only writes the tables.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { measure, readRuns } from './damage/measure.js';
import { carriedTable, exponentTable, foretoldTable, harmTable } from './damage/tables.js';

const DOCUMENT = new URL('../docs/damage.md', import.meta.url);
const RESULTS = new URL('../docs/results/damage.json', import.meta.url);

const [model, calibration, evaluation, metric] = process.argv.slice(2);
let runs = await readRuns(RESULTS);
if (model !== undefined) {
  if (calibration === undefined || evaluation === undefined || metric === undefined)
    throw new Error('usage: tsx scripts/measure-damage.ts MODEL CALIBRATION EVALUATION METRIC');
  const found = await measure({ model, calibration, evaluation, metric });
  runs = [...runs.filter((run) => run.model !== found.model || run.metric !== metric), found];
  writeFileSync(RESULTS, `${JSON.stringify(runs, null, 1)}\n`);
}

const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const tables = {
  measured: `Measured ${new Date().toISOString().slice(0, 10)} at ${commit} on the CPU.`,
  harm: harmTable(runs),
  exponents: exponentTable(runs),
  foretold: foretoldTable(runs),
  carried: carriedTable(runs),
};
let document = readFileSync(DOCUMENT, 'utf8');
for (const [name, text] of Object.entries(tables)) {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const [before, rest] = document.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`docs/damage.md has no ${begin} … ${end}`);
  document = `${before}${begin}\n${text}\n${end}${after}`;
}
writeFileSync(DOCUMENT, document);
