import { setImmediate } from 'node:timers/promises';
import { formatNamed } from './formats.js';
import type { FuzzFormat } from './fuzz-format.js';
import type { Batch, Finding, FindingKind, FromWorker, Progress } from './messages.js';
import { minimise } from './minimise.js';
import { leastTime, MAX_EXTRA_BYTES, MAX_MILLISECONDS, runCase, signatureOf } from './one-case.js';
import { forgetPeak, peakBytes } from './peak-memory.js';
import { Random } from './random.js';

/** Mutations between two looks at messages and two resets of the memory's peak. */
const STRIDE = 256;
const REPORT_MILLISECONDS = 250;
/** Shown of an unexpected error; 0 while nothing fails, because filling stacks in takes half of a refusal's time. */
const STACK_FRAMES = 12;

const [formatName = '', seedText = '1'] = process.argv.slice(2);
const seed = Number(seedText);
Error.stackTraceLimit = 0;

/** Runs mutations by their numbers and tells the parent of them; see `watch.ts` for what happens when it cannot. */
async function runBatch(format: FuzzFormat, { from, to, careful }: Batch): Promise<void> {
  let tally = emptyTally();
  let reported = performance.now();
  forgetPeak();
  let before = peakBytes();
  for (let index = from; index < to; index += 1) {
    if (careful) await send({ type: 'next', index });
    const bytes = format.mutate(new Random(seed, index));
    const outcome = await runCase(format, bytes);
    tally[outcome.verdict] += 1;
    if (outcome.verdict === 'failed') await sendFinding(format, { kind: 'crash', index, bytes, error: outcome.error });
    if (outcome.milliseconds > tally.slowestMilliseconds) await noteSlow(format, { bytes, index, tally });
    const peak = peakBytes();
    if (peak - before > MAX_EXTRA_BYTES) await sendFinding(format, { kind: 'memory', index, bytes });
    tally.peakBytes = Math.max(tally.peakBytes, peak);
    before = peak;
    if ((index - from) % STRIDE !== STRIDE - 1) continue;
    forgetPeak();
    before = peakBytes();
    if (performance.now() - reported < REPORT_MILLISECONDS) continue;
    await send({ type: 'progress', at: index + 1, isDone: false, ...tally });
    await setImmediate();
    tally = emptyTally();
    reported = performance.now();
  }
  await send({ type: 'progress', at: to, isDone: true, ...tally });
}

type Tally = { -readonly [K in Exclude<keyof Progress, 'type' | 'at' | 'isDone'>]: number };

function emptyTally(): Tally {
  return { opened: 0, refused: 0, failed: 0, slowestMilliseconds: 0, slowestIndex: 0, peakBytes: 0 };
}

async function noteSlow(
  format: FuzzFormat,
  { bytes, index, tally }: { bytes: Uint8Array; index: number; tally: Tally },
): Promise<void> {
  const milliseconds = await leastTime(format, bytes);
  if (milliseconds > MAX_MILLISECONDS) await sendFinding(format, { kind: 'hang', index, bytes });
  if (milliseconds <= tally.slowestMilliseconds) return;
  tally.slowestMilliseconds = milliseconds;
  tally.slowestIndex = index;
}

const sent = new Set<string>();

async function sendFinding(
  format: FuzzFormat,
  found: { kind: FindingKind; index: number; bytes: Uint8Array; error?: unknown },
): Promise<void> {
  const signature = found.kind === 'crash' ? signatureOf(found.error) : found.kind;
  if (sent.has(signature)) return;
  sent.add(signature);
  const smallest = found.kind === 'crash' ? await minimise(format, found.bytes, signature) : found.bytes;
  Error.stackTraceLimit = STACK_FRAMES;
  const { error } = await runCase(format, smallest);
  Error.stackTraceLimit = 0;
  const finding: Finding = {
    kind: found.kind,
    index: found.index,
    signature,
    stack: error instanceof Error ? (error.stack ?? error.message) : '',
    bytes: Buffer.from(smallest).toString('base64'),
  };
  await send({ type: 'finding', finding });
}

/** Resolves when the message is on its way: it must arrive even when the next thing kills the process. */
function send(message: FromWorker): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, (error: Error | null) => (error ? reject(error) : resolve()));
  });
}

const format = formatNamed(formatName);
process.on('message', (batch: Batch) => {
  // A failure of the harness itself: it ends the worker, and the parent says so.
  runBatch(format, batch).catch((error: unknown) => {
    Error.stackTraceLimit = STACK_FRAMES;
    console.error(error);
    process.exit(70);
  });
});
