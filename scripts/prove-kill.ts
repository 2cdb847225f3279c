import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { proveKills } from './kill-proof.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values } = parseArgs({
  options: { kills: { type: 'string', default: '50' }, seed: { type: 'string', default: '1' } },
});

/** Park & Miller's minimal standard generator: good enough to pick moments, and the same ones for the same seed. */
function moments(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
}

const kills = Number(values.kills);
const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-kill-'));
const model = path.join(root, 'models/fledgling');
const args = [model, '--sparsity', '0.5', '--calibration', path.join(model, 'calibration.txt')];
args.push(
  '--calibration-windows',
  '32',
  '--data',
  path.join(model, 'evaluation.txt'),
  '--limit',
  '32',
  '--device',
  'cpu',
);
const trials = await proveKills({
  args,
  entry: path.join(root, 'bin/run.js'),
  folder,
  kills,
  random: moments(Number(values.seed)),
  onTrial: ({ killedAfter, tooLate, resumeCode, sameBytes }, index) =>
    console.log(
      `${index + 1}/${kills}  killed after ${killedAfter} ms${tooLate ? ' (too late)' : ''}  resume ended with ${resumeCode}  same bytes: ${sameBytes}`,
    ),
});
rmSync(folder, { recursive: true });

const same = trials.filter((trial) => trial.sameBytes).length;
const hit = trials.filter((trial) => !trial.tooLate).length;
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
const date = new Date().toISOString().slice(0, 10);
const summary = `${kills} kills (${hit} before the run ended), ${same} outputs with the uninterrupted run's bytes`;
console.log(summary);
writeFileSync(
  path.join(root, 'docs/kill-proof.md'),
  `# Killed at random moments

\`npm run prove:kill -- --kills ${kills} --seed ${values.seed}\` prunes models/fledgling to 50 % in five waves, kills the process with SIGKILL at random
moments of a run, resumes it each time, and compares every file of the output, the manifest among them, with the uninterrupted run's.

${date}, commit ${commit}: ${summary}.

| killed after (ms) | resume's exit code | same bytes |
|---|---|---|
${trials.map((trial) => `| ${trial.killedAfter}${trial.tooLate ? ' (run was over)' : ''} | ${trial.resumeCode} | ${trial.sameBytes ? 'yes' : '**no**'} |`).join('\n')}
`,
);
if (same !== kills) process.exitCode = 1;
