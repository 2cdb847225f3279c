/** `npm run check`: everything that is checked without running the code, as many at a time as there are cores. Fails when one fails. */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** Builds first: others look at what that makes. */
const FIRST = 'check:manifest';
/** The longest first. */
const REST = ['check:unused', 'check:imports', 'check:style', 'check:types'];

/** Whether a script of package.json succeeded, once it has ended and its output is printed, whole. */
function passes(script) {
  const start = performance.now();
  const child = spawn(`npm run --silent ${script}`, { shell: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => output.push(bytes));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(`${code === 0 ? 'passed' : 'FAILED'}: ${script} (${seconds} s)`);
      process.stdout.write(Buffer.concat(output));
      resolve(code === 0);
    });
  });
}

const results = [await passes(FIRST)];
const left = [...REST];
async function work() {
  for (let script = left.shift(); script !== undefined; script = left.shift()) results.push(await passes(script));
}
await Promise.all(Array.from({ length: Math.min(availableParallelism(), REST.length) }, work));
if (results.includes(false)) process.exitCode = 1;
