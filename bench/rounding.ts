/**
 * `tsx bench/rounding.ts`: how fast weights are rounded to nearest, from F16 as a checkpoint holds them to packed codes and scales, in
 * processor time of one thread, so that what else the machine does counts little.
 */
import { parseArgs } from 'node:util';
import { median } from 'simple-statistics';
import { quantizeMatrix, schemeOf, toParts } from '../src/quantization/index.js';
import { decodeToF32, encodeFromF32 } from '../src/tensor/index.js';
import { markdownTable } from './record.js';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '4096' },
    columns: { type: 'string', default: '4096' },
    rounds: { type: 'string', default: '5' },
    schemes: { type: 'string', default: 'int4,int3,int8,fp8,nf4' },
  },
});
const [rows, columns, rounds] = [values.rows, values.columns, values.rounds].map(Number) as [number, number, number];
const stored = encodeFromF32(
  Float32Array.from({ length: rows * columns }, (_, i) => 0.02 * Math.sin(i * 1.618) * (1 + (i % 97) / 97)),
  'F16',
);

const table = values.schemes.split(',').map((name) => {
  const scheme = schemeOf(name);
  const seconds = Array.from({ length: rounds + 1 }, () => {
    const before = process.cpuUsage();
    toParts(quantizeMatrix(decodeToF32(stored, 'F16'), rows, columns, scheme));
    return process.cpuUsage(before).user / 1e6;
  });
  // The first round compiles.
  const bytesPerSecond = stored.length / median(seconds.slice(1));
  return [name, `${(bytesPerSecond / 1e9).toFixed(2)} GB/s`];
});
console.log(markdownTable(['scheme', 'F16 input in a second of one thread'], table));
