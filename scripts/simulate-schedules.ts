import { readFile, writeFile } from 'node:fs/promises';
import { scheduleTable } from './schedule-simulation.js';

/**
 * Writes the comparison of schedules on simulated models into docs/waves.md, between its marks.
 *
 *   npx tsx scripts/simulate-schedules.ts
 */
const FILE = 'docs/waves.md';
const [BEGIN, END] = ['<!-- schedules: begin -->', '<!-- schedules: end -->'];

const text = await readFile(FILE, 'utf8');
const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
if (before < 0 || after < before) throw new Error(`${FILE} has no place for the table: ${BEGIN} … ${END}`);
const table = scheduleTable();
await writeFile(FILE, `${text.slice(0, before + BEGIN.length)}\n${table}\n${text.slice(after)}`);
console.log(table);
