/** `tsx bench/gpu/record.ts RESULTS.json`: keeps what bench/gpu wrote on another machine in bench/results, and puts it into docs/performance.md. */
import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { replaceSection } from '../record.js';
import { renderGpu } from './render.js';
import type { GpuResults } from './results.js';

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('Usage: tsx bench/gpu/record.ts RESULTS.json');
const results = JSON.parse(readFileSync(file, 'utf8')) as GpuResults;
if (results.tiny)
  throw new Error(`${file} was measured with --tiny: it says that the bench runs, and nothing of a GPU.`);
const { date, commit, machine } = results;
copyFileSync(file, path.join(import.meta.dirname, '../results', `gpu-${date}-${commit}.json`));
const provenance = `*${date}, commit ${commit}, ${machine.cpu}, ${machine.cores} cores, ${machine.system}, Node ${machine.node}.*`;
replaceSection('gpu', `${renderGpu(results)}\n\n${provenance}`);
