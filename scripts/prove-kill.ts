/**
 * `npm run prove:kill -- --kills 50 --work prune`: kills works on the shipped model at random moments, resumes them and compares what they
 * publish; writes the section of each work in docs/kill-proof.md.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type KillProof, type KillTrial, proveKills } from './kill-proof.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const page = path.join(root, 'docs/kill-proof.md');
const model = path.join(root, 'models/fledgling');
const texts = ['--calibration', path.join(model, 'calibration.txt'), '--data', path.join(model, 'evaluation.txt')];
const small = ['--calibration-windows', '32', '--limit', '32', '--device', 'cpu'];

interface Work extends Pick<KillProof, 'command' | 'args' | 'result'> {
  /** What it does, as the subject of a sentence. */
  readonly deed: string;
}

const WORKS: Readonly<Record<string, Work>> = {
  prune: {
    deed: 'prunes models/fledgling to 50 % in five waves',
    command: 'prune',
    args: [model, '--sparsity', '0.5', ...texts, ...small],
  },
  quantize: {
    deed: 'quantizes models/fledgling to int4 by GPTQ, for compressed-tensors',
    command: 'quantize',
    args: [model, '--scheme', 'int4', '--algorithm', 'gptq', '--max-drop', '10%', ...texts, ...small],
  },
  'quarter-size': {
    deed: 'carries out configs/quarter-size.json: sheds channels, quantizes to Q4_K_M, and writes a GGUF',
    command: 'run',
    args: [path.join(root, 'configs/quarter-size.json'), '--model', model, ...texts, ...small],
    result: 'result.gguf',
  },
};

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    work: { type: 'string', default: Object.keys(WORKS).join(',') },
  },
});
const kills = Number(values.kills);
for (const name of values.work.split(',')) {
  const work = WORKS[name];
  if (work === undefined) throw new Error(`There is no work ${name}; known: ${Object.keys(WORKS).join(', ')}.`);
  const trials = await prove(name, work);
  writeSection(name, sectionOf(name, work, trials));
  if (trials.some(({ sameBytes }) => !sameBytes)) process.exitCode = 1;
}

async function prove(name: string, work: Work): Promise<KillTrial[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-kill-'));
  try {
    return await proveKills({
      ...work,
      entry: path.join(root, 'bin/run.js'),
      folder,
      kills,
      random: moments(Number(values.seed)),
      onTrial: ({ killedAfter, tooLate, resumeCode, sameBytes }, index) =>
        console.log(
          `${name} ${index + 1}/${kills}  killed after ${killedAfter} ms${tooLate ? ' (too late)' : ''}  resume ended with ${resumeCode}  same bytes: ${sameBytes}`,
        ),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Park & Miller's minimal standard generator: good enough to pick moments, and the same ones for the same seed. */
function moments(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
}

function sectionOf(name: string, { deed }: Work, trials: readonly KillTrial[]): string {
  const same = trials.filter((trial) => trial.sameBytes).length;
  const hit = trials.filter((trial) => !trial.tooLate).length;
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  const date = new Date().toISOString().slice(0, 10);
  const summary = `${kills} kills (${hit} before the run ended), ${same} outputs with the uninterrupted run's bytes`;
  console.log(`${name}: ${summary}`);
  const rows = trials.map(({ killedAfter, tooLate, resumeCode, sameBytes }) => {
    return `| ${killedAfter}${tooLate ? ' (run was over)' : ''} | ${resumeCode} | ${sameBytes ? 'yes' : '**no**'} |`;
  });
  return [
    `\`npm run prove:kill -- --work ${name} --kills ${kills} --seed ${values.seed}\` ${deed}.`,
    '',
    `${date}, commit ${commit}: ${summary}.`,
    '',
    "| killed after (ms) | resume's exit code | same bytes |",
    '|---|---|---|',
    ...rows,
  ].join('\n');
}

/** Puts the text between the work's marks. */
function writeSection(name: string, text: string): void {
  const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const before = readFileSync(page, 'utf8');
  const [head, rest] = before.split(start);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined) throw new Error(`${page} has no marks ${start} … ${end}.`);
  writeFileSync(page, `${head}${start}\n${text}\n${end}${tail}`);
}
