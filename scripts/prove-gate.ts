import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Evaluation } from '../src/evaluation/index.js';
import type { RunResult } from '../src/waves/index.js';

const run = promisify(execFile);
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const shared = path.resolve(root, '../shared');
const model = path.join(shared, 'models/novels-5m');
const data = path.join(shared, 'data/novels/eval.txt');
const calibration = path.join(shared, 'data/novels/calibration.txt');

/** The command as a user types it; --json gives what it says as one object. */
async function birdbone<T>(...args: string[]): Promise<T> {
  const all = [path.join(root, 'bin/run.js'), ...args, '--json', '--device', 'cpu'];
  const { stdout } = await run(process.execPath, all, { maxBuffer: 64 * 2 ** 20 });
  return JSON.parse(stdout) as T;
}

const percent = (fraction: number) => `${(100 * fraction).toFixed(2)} %`;

function table(result: RunResult): string {
  const rows = result.waves.map(({ wave, sparsity, figures, verdict }) => {
    const loss = percent(figures['accuracyLoss']!);
    return `| ${wave} | ${percent(sparsity)} | ${figures['perplexity']!.toFixed(3)} | ${percent(figures['accuracy']!)} | ${loss} | ${verdict} |`;
  });
  const { perplexity, accuracy } = result.baseline;
  const dense = `| dense | 0 | ${perplexity!.toFixed(3)} | ${percent(accuracy!)} | | |`;
  return [
    '| wave | sparsity | perplexity | accuracy | accuracy loss | verdict |',
    '|---|---|---|---|---|---|',
    dense,
    ...rows,
  ].join('\n');
}

const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-gate-'));
const sections: string[] = [];
const faults: string[] = [];
for (const target of ['0.5', '0.8']) {
  const out = path.join(folder, `novels-${target}`);
  const texts = ['--calibration', calibration, '--data', data];
  const result = await birdbone<RunResult>(
    'prune',
    model,
    '--out',
    out,
    '--sparsity',
    target,
    '--waves',
    '5',
    ...texts,
    '--diffs',
    folder,
  );
  const after = await birdbone<Evaluation>('evaluate', out, '--data', data, '--base', model);
  const loss = after.accuracyLoss!;
  const undone = result.waves.filter((wave) => wave.verdict === 'rolled-back').length;
  if (loss > 0.03) faults.push(`at ${target}, evaluate finds a loss of ${percent(loss)}`);
  if (target === '0.5' && !result.reached) faults.push('50 % was not reached');
  if (target === '0.8' && (undone === 0 || result.sparsity <= 0.5 || result.sparsity >= 0.8))
    faults.push('80 % did not roll back and stop in between');
  sections.push(`## Target ${percent(Number(target))}

${table(result)}

Kept: ${percent(result.sparsity)}, ${undone} waves rolled back. \`evaluate --base\` on the published folder: accuracy loss ${percent(loss)},
perplexity ${after.perplexity.toFixed(3)}, KL ${after.kl!.toFixed(4)} nats, same arg-max for ${percent(after.agreement!)} of the tokens.`);
  console.log(sections.at(-1));
}
rmSync(folder, { recursive: true });

const commit = (await run('git', ['rev-parse', '--short', 'HEAD'], { cwd: root })).stdout.trim();
writeFileSync(
  path.join(root, 'docs/gate-proof.md'),
  `# The default gate on a real model

\`npm run prove:gate\`: novels-5m (5.8 M parameters), Wanda in five waves, calibration on 128 windows of 256 tokens, the gate (3 % accuracy loss)
on the whole of eval.txt (windows of 256). ${new Date().toISOString().slice(0, 10)}, commit ${commit}, device cpu.

${sections.join('\n\n')}
`,
);
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;
