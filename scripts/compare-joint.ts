import { tmpdir } from 'node:os';
import { type Checkpoint, readFloats } from '../src/checkpoint/index.js';
import { compareScores, type PassageScore, scorePassages, summarize } from '../src/evaluation/index.js';
import { withCheckpoint } from '../src/model/index.js';
import { pruneEdit } from '../src/pruning/index.js';
import { quantizeEdit } from '../src/quantizing/index.js';
import { proposeLayer } from '../test/fixtures/proposed-layer.js';
import { type ComparedModel, compareEach, options } from './compared-models.js';
import { rows, writePage } from './joint-results.js';
import { describeCommit } from './pruning-table.js';

/**
 * Holds weights that are removed and rounded in one sweep against weights that are removed first and rounded then, by perplexity on the
 * same text, with paired intervals. Rows are kept one by one in docs/results/joint.json, and docs/joint-table.md is made of all of them.
 *
 *   npm run compare:joint -- [--only TEXT]… [--missing] [--render] [--model NAME] [--windows N]
 */

/** What is removed, in the flags' words, and the scheme of the rest. */
interface Variant {
  readonly name: string;
  readonly removed: { readonly pattern: string; readonly sparsity?: number };
  readonly rounded: { readonly scheme: string; readonly groupSize: number };
}

const VARIANTS: readonly Variant[] = ['int4', 'int3'].flatMap((scheme) =>
  [{ pattern: 'unstructured', sparsity: 0.5 }, { pattern: 'unstructured', sparsity: 0.3 }, { pattern: '2:4' }].map(
    (removed) => {
      const { pattern, sparsity } = { sparsity: undefined, ...removed };
      const part = sparsity === undefined ? pattern : `${100 * sparsity} %`;
      return { name: `${part}, ${scheme} g64`, removed, rounded: { scheme, groupSize: 64 } };
    },
  ),
);

interface Measured {
  readonly scores: readonly PassageScore[];
  readonly zeros: number;
}

async function compareVariant({ name, removed, rounded }: Variant, work: ComparedModel): Promise<void> {
  const { model, passages } = work;
  const started = process.cpuUsage();
  const rounding = { ...rounded, algorithm: 'gptq' };
  const { view: pruned } = await proposeLayer(
    await pruneEdit({ ...removed, metric: 'wanda', solver: 'sparsegpt' }),
    model,
    work,
  );
  const smaller = withCheckpoint(model, pruned);
  const { view: after } = await proposeLayer(await quantizeEdit(rounding, 'native'), smaller, work);
  const { view: joint } = await proposeLayer(await quantizeEdit({ ...rounding, ...removed }, 'native'), model, work);
  const dense = await measure(model.checkpoint, work);
  const [two, one] = [await measure(after, work), await measure(joint, work)];
  const compared = compareScores(two.scores, one.scores, { seed: 0 });
  const interval = compared.intervals.perplexityRatio;
  if (interval === undefined) throw new Error(`${name}: no interval`);
  const { user, system } = process.cpuUsage(started);
  const perplexity = ({ scores }: Measured) => summarize(scores, { seed: 0 }).perplexity;
  const { perplexityRatio: ratio } = compared;
  rows.keep({
    ...{ model: options.model, name, windows: passages.length },
    ...{ dense: perplexity(dense), after: perplexity(two), joint: perplexity(one), ratio, interval },
    ...{ zerosAfter: two.zeros, zerosJoint: one.zeros, device: work.device.description },
    ...{ date: new Date().toISOString().slice(0, 10), commit: await describeCommit() },
    processorSeconds: Math.round((user + system) / 1e6),
  });
  console.error(`${name}: ${ratio.toFixed(4)} (${interval.map((end) => end.toFixed(4)).join(' to ')})`);
}

async function measure(seen: Checkpoint, { model, device, passages }: ComparedModel): Promise<Measured> {
  const read = { device, memoryBytes: 2 ** 30, spillFolder: tmpdir() };
  const { scores } = await scorePassages(withCheckpoint(model, seen), passages, read);
  let [zeros, elements] = [0, 0];
  for (const { weight } of model.decoder.blocks.flatMap(({ linears }) => linears)) {
    const values = await readFloats(seen, weight);
    elements += values.length;
    for (const value of values) if (value === 0) zeros += 1;
  }
  return { scores, zeros: zeros / elements };
}

await compareEach(VARIANTS, rows.read, compareVariant);
writePage();
