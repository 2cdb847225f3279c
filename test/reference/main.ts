import { parseArgs } from 'node:util';
import { loadReferenceModel, readDocuments, readWindows } from './load.js';
import type { Method } from './pruning.js';
import { evaluateReference, pruneReference } from './reference.js';

/**
 * The reference as a command: prints perplexity and accuracy as one JSON object.
 *
 * npx tsx test/reference/main.ts --model DIR --eval FILE [--method wanda --pattern 50% --calibration FILE]
 */
const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    eval: { type: 'string' },
    calibration: { type: 'string' },
    method: { type: 'string' },
    pattern: { type: 'string', default: '50%' },
    protocol: { type: 'string', default: 'windows' },
    context: { type: 'string', default: '256' },
    windows: { type: 'string', default: '128' },
    limit: { type: 'string' },
    threads: { type: 'string', default: '2' },
  },
});
if (values.model === undefined || values.eval === undefined) throw new Error('--model and --eval are needed');
const threads = Number(values.threads);
const model = loadReferenceModel(values.model);
if (values.method !== undefined) {
  const windows =
    values.calibration === undefined ? [] : readWindows(values.model, values.calibration, 256, Number(values.windows));
  await pruneReference(model, { method: values.method as Method, pattern: values.pattern, windows, threads });
}
const context = Number(values.context);
const passages =
  values.protocol === 'documents'
    ? readDocuments(values.model, values.eval, context)
    : readWindows(values.model, values.eval, context, values.limit === undefined ? undefined : Number(values.limit));
console.log(JSON.stringify(await evaluateReference(model, passages, threads)));
