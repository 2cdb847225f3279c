/**
 * `tsx bench/layouts.ts`: packs one large matrix of 4-bit codes in each engine's layout and reads it back in the native form, each in a
 * process of its own, and puts memory and processor time into docs/formats.md. What is packed comes from memory that costs nothing, and
 * goes nowhere: the figures are those of packing alone.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Checkpoint, chunksOf, type TensorInfo } from '../src/checkpoint/index.js';
import { codingBytes, codingName, decodedView } from '../src/coding/index.js';
import { layouts, readQuantized } from '../src/layouts/index.js';
import type { Decoder } from '../src/model/index.js';
import { partForms, recordOf, schemeOf } from '../src/quantization/index.js';
import { DTYPES } from '../src/tensor/index.js';
import { megabytes } from './machine.js';
import { measureNode } from './measured-process.js';
import { keepResults, markdownTable, writeSection } from './record.js';

const here = fileURLToPath(import.meta.url);
const WEIGHT = 'model.layers.0.mlp.down_proj.weight';
/** A down projection of the largest dense models: 134 MB of codes, several strips. */
const [ROWS, COLUMNS] = [32_768, 8192];
const CHUNK_BYTES = 2 ** 20;

const { values } = parseArgs({ options: { layout: { type: 'string' }, way: { type: 'string', default: 'written' } } });
if (values.layout === undefined) await measureAll();
else await work(values.layout, values.way);

interface Row {
  readonly layout: string;
  readonly way: string;
  readonly gigabytesPerCpuSecond: number;
  readonly extraBytes: number;
}

async function measureAll(): Promise<void> {
  const rows: Row[] = [];
  for (const layout of layouts.names) {
    for (const way of ['written', 'read']) {
      const child = await measureNode(['--import', 'tsx', here, '--layout', layout, '--way', way], process.cwd());
      const row = { layout, way, ...(JSON.parse(child.stdout) as Omit<Row, 'layout' | 'way'>) };
      rows.push(row);
      console.log(`${layout} ${way}: ${row.gigabytesPerCpuSecond.toFixed(2)} GB/s, ${megabytes(row.extraBytes)}`);
    }
  }
  const title = `One matrix of ${ROWS} × ${COLUMNS} in 4 bits and groups of 128; gigabytes of the matrix in half precision.`;
  const table = markdownTable(
    ['layout', 'way', 'for a second of CPU time', 'memory beside the program'],
    rows.map(({ layout, way, gigabytesPerCpuSecond: rate, extraBytes }) => {
      return [layout, way, `${rate.toFixed(2)} GB`, megabytes(extraBytes)];
    }),
  );
  writeSection('layouts', `${title}\n\n${table}`, path.resolve(path.dirname(here), '../docs/formats.md'));
  console.log(keepResults({ layouts: rows }));
}

/** Reads every tensor of the packed (or unpacked) matrix in order, and prints what that took. */
async function work(layoutName: string, way: string): Promise<void> {
  const layout = await layouts.load(layoutName);
  const view = await decodedView(codesInMemory());
  const written = await layout.write(view, { decoder: oneLinear() }, {});
  const config = JSON.parse(written.companions!.get('config.json')!);
  const target = way === 'written' ? written : await readQuantized(fromNowhere(written), config, 'config.json');
  const before = process.resourceUsage().maxRSS;
  const start = process.cpuUsage();
  for (const name of target.tensors.keys()) for await (const _ of chunksOf(target, name, CHUNK_BYTES));
  const { user, system } = process.cpuUsage(start);
  const extraBytes = (process.resourceUsage().maxRSS - before) * 1024;
  const gigabytesPerCpuSecond = (2 * ROWS * COLUMNS) / 1e9 / ((user + system) / 1e6);
  process.stdout.write(JSON.stringify({ gigabytesPerCpuSecond, extraBytes }));
}

function codesInMemory(): Checkpoint {
  const scheme = schemeOf('int4', { groupSize: 128, scaleDtype: 'F16' });
  const infos: TensorInfo[] = [...partForms(scheme, ROWS, COLUMNS)].map(([suffix, { dtype, shape }]) => {
    const elements = shape.reduce((product, size) => product * size, 1);
    return { name: `${WEIGHT}${suffix}`, dtype, shape, byteLength: (elements * DTYPES[dtype].bits) / 8 };
  });
  const record = codingBytes(recordOf(scheme, ROWS, COLUMNS));
  infos.push({ name: codingName(WEIGHT), dtype: 'U8', shape: [record.length], byteLength: record.length });
  const tensors = new Map(infos.map((info) => [info.name, info]));
  return {
    path: 'memory',
    format: 'memory',
    tensors,
    aliases: new Map(),
    metadata: {},
    async read(name, range = { offset: 0, length: tensors.get(name)!.byteLength }) {
      if (name === codingName(WEIGHT)) return record.slice();
      return new Uint8Array(range.length).fill(range.offset % 251);
    },
    async close() {},
  };
}

/** The same tensors with packed bytes of zeros, so that no packing is measured with the unpacking; what is read to open it stays. */
function fromNowhere({ companions: _, ...written }: Checkpoint): Checkpoint {
  return {
    ...written,
    async read(name, range = { offset: 0, length: written.tensors.get(name)!.byteLength }) {
      if (/g_idx$|weight_shape$/.test(name)) return written.read(name, range);
      return new Uint8Array(range.length);
    },
  };
}

function oneLinear(): Decoder {
  const linear = { role: 'down', input: 'ffn-inner', weight: WEIGHT, rows: ROWS, columns: COLUMNS } as const;
  return { tied: true, blocks: [{ index: 0, attention: true, linears: [linear] }] } as unknown as Decoder;
}
