/**
 * `npm run bench`: our CPU matrix products against OpenBLAS, hashing and diffing against `sha256sum` and on 10 GB, start-up
 * against `node -e 0`, in one run. `npm run bench -- products start-up` runs parts by name; `--docs` puts the tables into
 * docs/performance.md, `--threads N` gives both sides of the products N threads instead of all cores.
 */
import { parseArgs } from 'node:util';
import { commit, machine, megabytes } from './machine.js';
import { hashing, renderHashing } from './parts/hashing.js';
import { matrixProducts, renderMatrixProducts } from './parts/matrix-products.js';
import { renderShedSpeed, shedSpeed } from './parts/shed-speed.js';
import { renderSparse, sparse } from './parts/sparse.js';
import { renderStartUp, startUp } from './parts/start-up.js';
import { keepResults, writeSection } from './record.js';

interface Part {
  readonly title: string;
  /** Measures, and gives the figures and their table. */
  run(): Promise<{ readonly figures: unknown; readonly table: string }>;
}

function part<Figures>(title: string, measure: () => Promise<Figures>, render: (figures: Figures) => string): Part {
  return {
    title,
    async run() {
      const figures = await measure();
      return { figures, table: render(figures) };
    },
  };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { docs: { type: 'boolean', default: false }, threads: { type: 'string' } },
});
const threads = values.threads === undefined ? undefined : Number(values.threads);

const PARTS: Readonly<Record<string, Part>> = {
  products: part(
    'Matrix products on the CPU device against OpenBLAS',
    () => matrixProducts(threads),
    renderMatrixProducts,
  ),
  hashing: part('Hashing and diffing against sha256sum', hashing, renderHashing),
  sparse: part('A sparse file of 10 GB', sparse, renderSparse),
  'shed-speed': part('A shed model in llama.cpp against the dense one', shedSpeed, renderShedSpeed),
  'start-up': part('Start-up against node -e 0', startUp, renderStartUp),
};

const names = positionals.length === 0 ? Object.keys(PARTS) : positionals;
const unknown = names.filter((name) => !Object.hasOwn(PARTS, name));
if (unknown.length > 0) throw new Error(`No part ${unknown.join(', ')}. Parts: ${Object.keys(PARTS).join(', ')}.`);

const { cpu, cores, memoryBytes, system, node } = machine();
console.log(`${cpu}, ${cores} cores, ${megabytes(memoryBytes)}, ${system}, Node ${node}; commit ${commit()}`);
for (const name of names) {
  const { title, run } = PARTS[name]!;
  console.log(`\n${title}`);
  const { figures, table } = await run();
  console.log(`\n${table}`);
  const file = keepResults({ [name]: figures });
  if (values.docs) writeSection(name, table);
  console.log(`\nkept in ${file}`);
}
