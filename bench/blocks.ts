/**
 * `tsx bench/blocks.ts`: writes a GGUF in Mistral's shapes of about 3 GB and rounds it to blocks in several mixes with `convert`, each as
 * a process of its own; holds peak memory and throughput against what birdbone promises. The table goes into docs/gguf.md. Needs a build,
 * and 7 GB of disk under `--folder` (the system's temporary folder by default). `--blocks 1 --mixes q4_k_s` is the least work.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chunksOf, type GgufValue, GgufWriter } from '../src/checkpoint/index.js';
import { describeModel } from '../src/model/index.js';
import { asGguf } from '../src/translation/index.js';
import { megabytes } from './machine.js';
import { measureNode } from './measured-process.js';
import { keepResults, markdownTable, writeSection } from './record.js';
import { MISTRAL, syntheticMistral } from './synthetic-mistral.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const bin = path.join(root, 'bin/run.js');
const BOUND_BYTES = 1e9;
/** Of half-precision input on two cores, for the mix that is nearly all Q4_K. */
const PROMISED = { mix: 'q4_k_s', gigabytesPerSecond: 0.06, cores: 2 };

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: path.join(tmpdir(), 'birdbone-blocks') },
    blocks: { type: 'string', default: '6' },
    mixes: { type: 'string', default: 'q8_0,q4_k_s,q4_k_m,q6_k' },
    keep: { type: 'boolean', default: false },
  },
});
const folder = path.resolve(values.folder);
const input = path.join(folder, `mistral-${values.blocks}.gguf`);

interface Measurement {
  readonly mix: string;
  readonly bitsPerWeight: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

await mkdir(folder, { recursive: true });
const inputBytes = await writeInput();
const measurements: Measurement[] = [];
for (const mix of values.mixes.split(',')) measurements.push(await measure(mix));
const table = render();
console.log(`\n${table}`);
console.log(`\nkept in ${keepResults({ blocks: { inputBytes, measurements } })}`);
writeSection('blocks', table, path.join(root, 'docs/gguf.md'));
if (!values.keep) await rm(folder, { recursive: true, force: true });
const promised = measurements.find(({ mix }) => mix === PROMISED.mix);
const isSlow = promised !== undefined && perCore(promised) * PROMISED.cores < PROMISED.gigabytesPerSecond;
if (isSlow || measurements.some(({ peakBytes }) => peakBytes > BOUND_BYTES)) process.exitCode = 1;

/** Bytes of the tensors. */
async function writeInput(): Promise<number> {
  const source = syntheticMistral({ blocks: Number(values.blocks) });
  const config = { ...MISTRAL, num_hidden_layers: Number(values.blocks) };
  const gguf = asGguf(source, await describeModel(source, config), 'synthetic');
  const infos = gguf.order.map((name) => gguf.tensors.get(name)!);
  const bytes = infos.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (existsSync(input)) return bytes;
  const metadata = new Map<string, GgufValue>(gguf.gguf);
  const writer = await GgufWriter.create(input, metadata, infos);
  for (const { name } of infos) {
    let offset = 0;
    for await (const chunk of chunksOf(gguf, name)) {
      await writer.write(name, offset, chunk);
      offset += chunk.length;
    }
  }
  await writer.commit();
  return bytes;
}

async function measure(mix: string): Promise<Measurement> {
  const out = path.join(folder, `${mix}.gguf`);
  await rm(out, { force: true });
  const args = [bin, 'convert', input, '--out', out, '--dtype', mix, '--json', '--quiet'];
  const { seconds, cpuSeconds, peakBytes, stdout } = await measureNode(args, folder);
  const { bitsPerWeight } = JSON.parse(stdout) as { bitsPerWeight: number };
  await rm(out);
  const measurement = { mix, bitsPerWeight, seconds, cpuSeconds, peakBytes };
  console.log(
    `${mix.padEnd(8)} ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU, peak ${megabytes(peakBytes)}`,
  );
  return measurement;
}

/** Gigabytes of input that a second of one core's time rounds. */
function perCore({ cpuSeconds }: Measurement): number {
  return inputBytes / 1e9 / cpuSeconds;
}

function render(): string {
  const rows = measurements.map((measurement) => {
    const { mix, bitsPerWeight, seconds, peakBytes } = measurement;
    return [
      mix,
      bitsPerWeight.toFixed(2),
      `${seconds.toFixed(1)} s`,
      `${(inputBytes / 1e9 / seconds).toFixed(3)} GB/s`,
      `${perCore(measurement).toFixed(3)} GB/s`,
      megabytes(peakBytes),
    ];
  });
  const title = `${values.blocks} blocks of Mistral-7B's shapes, bf16, ${megabytes(inputBytes)}, on ${availableParallelism()} cores.`;
  const header = ['mix', 'bits a weight', 'time', 'input', 'input for a second of CPU time', 'peak memory'];
  return `${title}\n\n${markdownTable(header, rows)}`;
}
