import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Checkpoint, openCheckpoint } from '../src/checkpoint/index.js';
import { sharedMissing, sharedModel } from '../test/shared.js';
import { describeCommit } from './pruning-table.js';
import { gitLfs, restic, versionOf } from './rival-stores.js';
import { asF16, makeSeries, type Series, synthetic } from './store-series.js';

/**
 * Keeps ten waves of three models in the state store, in git-lfs and in restic, and writes what each takes into
 * docs/state-store.md. Needs git-lfs and restic, both from Debian, and the real checkpoints.
 *
 *   npm run compare:store
 */
const PAGE = fileURLToPath(new URL('../docs/state-store.md', import.meta.url));
const [START, END] = ['<!-- comparison -->', '<!-- /comparison -->'];

const MODELS: readonly { readonly name: string; readonly open: (work: string) => Promise<Checkpoint> }[] = [
  { name: 'novels-5m, BF16', open: () => openCheckpoint(sharedModel('novels-5m')) },
  {
    name: 'novels-5m, F16',
    open: async (work) => asF16(await openCheckpoint(sharedModel('novels-5m')), path.join(work, 'f16')),
  },
  { name: 'synthetic, F16', open: (work) => synthetic(path.join(work, 'synthetic')) },
];

interface Row {
  readonly name: string;
  readonly series: Series;
  readonly lfs: number;
  readonly restic: number;
}

async function compare({ name, open }: (typeof MODELS)[number]): Promise<Row> {
  const work = await mkdtemp(path.join(tmpdir(), 'compare-store-'));
  try {
    const base = await open(work);
    const series = await makeSeries(base, work);
    await base.close();
    const lfs = await gitLfs(series.folders, path.join(work, 'lfs'));
    return { name, series, lfs, restic: await restic(series.folders, path.join(work, 'restic')) };
  } finally {
    await rm(work, { recursive: true });
  }
}

function render(rows: readonly Row[], run: { readonly commit: string; readonly tools: string }): string {
  const size = (bytes: number) => (bytes / 1e6).toFixed(1);
  const cost = (bytes: number, model: number) => `${size(bytes)} (${(bytes / model).toFixed(2)} ×)`;
  const lines = rows.map(({ name, series, lfs, restic }) => {
    const { modelBytes, storeBytes } = series;
    const costs = [modelBytes + storeBytes, lfs, restic].map((bytes) => cost(bytes, modelBytes));
    return `| ${name} | ${size(modelBytes)} | ${costs.join(' | ')} |`;
  });
  return `Made by \`npm run compare:store\` on ${new Date().toISOString().slice(0, 10)} at commit ${run.commit}; ${run.tools}; Node ${process.versions.node}.
Multiples are of the model.

| model | MB | birdbone, MB | git-lfs, MB | restic, MB |
|---|---|---|---|---|
${lines.join('\n')}`;
}

if (sharedMissing !== undefined) throw new Error(sharedMissing);
const rows: Row[] = [];
for (const model of MODELS) {
  rows.push(await compare(model));
  process.stderr.write(`${model.name}: done\n`);
}
const tools = [await versionOf('git-lfs'), await versionOf('restic')].join(', ');
const page = await readFile(PAGE, 'utf8');
const table = render(rows, { commit: await describeCommit(), tools });
const [before, after] = [page.indexOf(START) + START.length, page.indexOf(END)];
await writeFile(PAGE, `${page.slice(0, before)}\n${table}\n${page.slice(after)}`);
process.stdout.write(`${table}\n`);
