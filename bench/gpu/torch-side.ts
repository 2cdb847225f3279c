import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { TorchResults } from './results.js';
import type { Sizes } from './stage.js';

/** Pythons that may have torch, the distribution's own last. */
const PYTHONS = ['python3', '/usr/bin/python3'];
const TIMEOUT_MS = 240_000;

/** What PyTorch takes for the same on the same GPU (torch_side.py), or why that is not known. */
export function torchSide(folder: string, sizes: Sizes): TorchResults {
  const script = path.join(folder, 'torch_side.py');
  if (!existsSync(script)) return { missing: `${script} is not there` };
  const reasons: string[] = [];
  for (const python of PYTHONS) {
    const { status, error, stdout, stderr } = spawnSync(python, [script], {
      input: JSON.stringify(sizes),
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
    });
    if (status === 0) return JSON.parse(stdout) as TorchResults;
    reasons.push(`${python}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
  }
  return { missing: reasons.join('; ') };
}
