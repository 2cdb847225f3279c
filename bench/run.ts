/**
 * `npm run bench`: every part of parts/index.ts, in one run; `npm run bench -- products start-up` runs parts by name. `--docs` puts the
 * tables into docs/performance.md, `--threads N` gives both sides of a pair N threads instead of all cores,
 * `--blocks N` and `--windows N` make whole jobs smaller. Needs a build.
 */
import { parseArgs } from 'node:util';
import { commit, machine, megabytes } from './machine.js';
import { parts } from './parts/index.js';
import { keepResults, writePictures, writeSection } from './record.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    docs: { type: 'boolean', default: false },
    threads: { type: 'string' },
    blocks: { type: 'string' },
    windows: { type: 'string' },
  },
});
const numberOf = (text: string | undefined) => (text === undefined ? undefined : Number(text));
const options = {
  threads: numberOf(values.threads),
  blocks: numberOf(values.blocks),
  windows: numberOf(values.windows),
};
const names = positionals.length === 0 ? parts.names : positionals;
const chosen = await Promise.all(names.map(async (name) => ({ name, part: await parts.load(name) })));

const { cpu, cores, memoryBytes, system, node } = machine();
console.log(`${cpu}, ${cores} cores, ${megabytes(memoryBytes)}, ${system}, Node ${node}; commit ${commit()}`);
for (const { name, part } of chosen) {
  console.log(`\n${part.title}`);
  const { figures, table, pictures = {} } = await part.run(options);
  console.log(`\n${table}`);
  const file = keepResults({ [name]: figures });
  if (values.docs) {
    writePictures(pictures);
    writeSection(name, table);
  }
  console.log(`\nkept in ${file}`);
}
