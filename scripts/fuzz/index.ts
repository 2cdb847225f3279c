import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildSync } from 'esbuild';
import { FORMATS, formatNamed } from './formats.js';
import { runCase } from './one-case.js';
import { Random } from './random.js';
import { recordedMutations, recordResults } from './record.js';
import { type FuzzResult, fuzzFormat } from './run-format.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const CORPUS = path.join(root, 'test/hostile/corpus');
const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    mutations: { type: 'string' },
    format: { type: 'string', multiple: true },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    record: { type: 'boolean', default: false },
    continue: { type: 'boolean', default: false },
    replay: { type: 'string' },
  },
});

/** Compiled to one file: tsx would wrap every function that the readers make. */
function bundleWorker(): string {
  const outfile = path.join(root, `node_modules/.cache/birdbone/fuzz-worker-${process.pid}.mjs`);
  process.once('exit', () => rmSync(outfile, { force: true }));
  buildSync({
    entryPoints: [path.join(root, 'scripts/fuzz/worker.ts')],
    outfile,
    ...{ bundle: true, platform: 'node', format: 'esm', target: 'node20', packages: 'external', logLevel: 'warning' },
  });
  return outfile;
}

/** Runs one saved input, or one mutation by its number, and says how it ended. */
async function replay(what: string): Promise<void> {
  const isNumber = /^[0-9]+$/.test(what);
  const format = formatNamed(values.format?.[0] ?? path.basename(what).split('.')[0]!);
  const bytes = isNumber ? format.mutate(new Random(Number(values.seed), Number(what))) : readFileSync(what);
  const { verdict, milliseconds, error } = await runCase(format, bytes);
  console.log(`${what}: ${verdict} in ${milliseconds.toFixed(1)} ms`);
  if (error === undefined) return;
  console.error(error);
  process.exitCode = 1;
}

async function fuzz(): Promise<void> {
  const names = values.format ?? FORMATS.map(({ name }) => name);
  const worker = bundleWorker();
  const seed = Number(values.seed);
  const minutes = Number(values.minutes ?? (values.mutations === undefined ? 1 : Number.POSITIVE_INFINITY));
  const results: FuzzResult[] = [];
  for (const format of names) {
    const result = await fuzzFormat({
      ...{ format, worker, seed, workers: Number(values.workers) },
      from: values.continue ? recordedMutations(root, format, seed) : 0,
      mutations: Number(values.mutations ?? Number.POSITIVE_INFINITY),
      milliseconds: (minutes * 60_000) / names.length,
      onProgress: (now) => process.stderr.isTTY && process.stderr.write(`\r${summary(now)}`),
    });
    console.log(summary(result));
    for (const finding of result.findings) saveFinding(format, finding);
    results.push(result);
  }
  if (values.record) recordResults(root, results, values.continue);
  if (results.some(({ findings }) => findings.length > 0)) process.exitCode = 1;
}

function summary(result: FuzzResult): string {
  const { format, mutations, seconds, opened, crashes, hangs, overMemory, slowestMilliseconds, peakBytes } = result;
  return (
    `${format}: ${mutations} mutations in ${seconds.toFixed(1)} s (${Math.round(mutations / seconds)}/s), ` +
    `${opened} opened, ${crashes} crashes, ${hangs} hangs, ${overMemory} over memory, ` +
    `slowest ${slowestMilliseconds.toFixed(1)} ms (${result.slowestIndex}), peak ${Math.round(peakBytes / 2 ** 20)} MiB`
  );
}

function saveFinding(format: string, { kind, index, signature, stack, bytes }: FuzzResult['findings'][number]): void {
  console.error(`${format}: ${kind} at mutation ${index}: ${signature}\n${stack}`);
  mkdirSync(CORPUS, { recursive: true });
  const data =
    bytes === undefined
      ? formatNamed(format).mutate(new Random(Number(values.seed), index))
      : Buffer.from(bytes, 'base64');
  const file = path.join(CORPUS, `${format}.${kind}-${values.seed}-${index}.bin`);
  writeFileSync(file, data);
  console.error(
    `saved as ${path.relative(root, file)}; run it alone: npm run fuzz -- --replay ${path.relative(root, file)}\n`,
  );
}

if (values.replay === undefined) await fuzz();
else await replay(values.replay);
