import path from 'node:path';
import { type Checkpoint, canonicalJson, type TensorInfo } from '../checkpoint/index.js';
import {
  hasValues,
  type KnownDifferences,
  mergeSums,
  NO_SUMS,
  sumPairs,
  type ValueSums,
} from '../differences/index.js';
import { stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import { readAhead } from '../threads/index.js';
import {
  type CheckpointSide,
  type DiffReport,
  type FieldChange,
  TENSOR_STATUSES,
  type TensorDiff,
  valueDiff,
} from './diff-report.js';
import { type HashOptions, readConfig, type TensorDigest } from './hash.js';
import { type MatchedPair, pairTensors, rangesOf, statusOf, type TensorPair } from './tensor-pairs.js';

export interface DiffOptions extends HashOptions {
  /** What the two are called in the report; the last component of the path each was opened from unless given. */
  readonly names?: { readonly before: string; readonly after: string };
  readonly known?: KnownBefore;
}

/** What is known of two checkpoints before they are compared: it is not read for again, and the report is the same. */
export interface KnownBefore {
  /** Digests of tensors that the checkpoint before has, under their stored names. */
  readonly before?: ReadonlyMap<string, TensorDigest>;
  readonly after?: ReadonlyMap<string, TensorDigest>;
  readonly sums?: KnownDifferences;
}

/** The two checkpoints and who is told. */
interface Comparison {
  readonly before: Checkpoint;
  readonly after: Checkpoint;
  readonly known: KnownBefore;
  readonly report: Report;
  readonly signal: AbortSignal | undefined;
}

/**
 * What differs between two checkpoints, tensor by tensor. Reads both in chunks: first their bytes, up to the first difference
 * of each tensor, then the values of those that differ; so unchanged tensors cost no arithmetic. Holds a few chunks.
 *
 * Throws what the checkpoints' reads throw, `unreadable` for a broken config.json, `interrupted` when the signal is aborted.
 */
export async function diffCheckpoints(
  before: Checkpoint,
  after: Checkpoint,
  options: DiffOptions = {},
): Promise<DiffReport> {
  const { known = {}, report = silent, signal } = options;
  const comparison = { before, after, known, report, signal };
  const fields = await changedFields(before, after);
  const pairs = pairTensors(before, after);
  const differing = await findDiffering(pairs.filter(isSameLayout), comparison);
  const changed = pairs.filter(isMatched).filter((pair) => statusOf(pair) === 'changed' || differing.has(pair.name));
  const sums = await sumChanged(changed.filter(isComparable), comparison);
  const tensors = pairs.map((pair) => describe(pair, differing.has(pair.name), sums.get(pair.name)));
  const counts = Object.fromEntries(
    TENSOR_STATUSES.map((status) => [status, tensors.filter((tensor) => tensor.status === status).length]),
  ) as DiffReport['counts'];
  return {
    diff: 1,
    before: sideOf(before, options.names?.before),
    after: sideOf(after, options.names?.after),
    identical: fields.length === 0 && counts.identical === tensors.length,
    counts,
    values: sums.size === 0 ? null : valueDiff([...sums.values()].reduce(mergeSums)),
    fields,
    tensors,
  };
}

function isMatched(pair: TensorPair): pair is MatchedPair {
  return pair.before !== undefined && pair.after !== undefined;
}

function isSameLayout(pair: TensorPair): pair is MatchedPair {
  return statusOf(pair) === 'identical';
}

function isComparable(pair: MatchedPair): boolean {
  return hasValues(pair.before.dtype) && hasValues(pair.after.dtype);
}

/** Names of the pairs whose bytes differ. */
async function findDiffering(pairs: readonly MatchedPair[], comparison: Comparison): Promise<Set<string>> {
  const differing = new Set<string>();
  const unknown = pairs.filter((pair) => {
    const [left, right] = digestsOf(pair, comparison.known);
    if (left === undefined || right === undefined) return true;
    if (left !== right) differing.add(pair.name);
    return false;
  });
  const unread = function* () {
    // Reads are taken from here one by one: once a difference is known, the rest of that tensor is not read.
    for (const pair of unknown) {
      for (const ranges of rangesOf(pair)) {
        if (differing.has(pair.name)) break;
        yield () => readBoth(comparison, pair, ranges);
      }
    }
  };
  const total = bytesOf(unknown);
  let done = 0;
  let current: MatchedPair | undefined;
  for await (const { pair, before, after } of readAhead(unread())) {
    stopIfAborted(comparison.signal);
    if (Buffer.compare(before, after) !== 0) differing.add(pair.name);
    if (current === pair) continue;
    done += current?.before.byteLength ?? 0;
    current = pair;
    comparison.report({ type: 'progress', stage: 'compare bytes', done, total, unit: 'bytes' });
  }
  return differing;
}

/** The digests of both sides, where they are known and of the tensors as they are compared. */
function digestsOf(
  { before, after }: MatchedPair,
  known: KnownBefore,
): [left: string | undefined, right: string | undefined] {
  const digestOf = ({ name, dtype, shape }: TensorInfo, digests: KnownBefore['before']) => {
    const digest = digests?.get(name);
    return digest?.dtype === dtype && digest.shape.join() === shape.join() ? digest.sha256 : undefined;
  };
  return [digestOf(before, known.before), digestOf(after, known.after)];
}

/** The sums of each pair, by name. */
async function sumChanged(pairs: readonly MatchedPair[], comparison: Comparison): Promise<Map<string, ValueSums>> {
  const reads = function* () {
    for (const pair of pairs) {
      const known = new Map(comparison.known.sums?.get(pair.name)?.map(({ chunk, sums }) => [chunk, sums]));
      let chunk = 0;
      for (const ranges of rangesOf(pair)) {
        const part = known.get(chunk);
        chunk += 1;
        yield async () => ({ pair, part: part ?? (await readAndSum(comparison, pair, ranges)), ranges });
      }
    }
  };
  const sums = new Map<string, ValueSums>();
  const total = bytesOf(pairs);
  let done = 0;
  for await (const { pair, part, ranges } of readAhead(reads())) {
    stopIfAborted(comparison.signal);
    sums.set(pair.name, mergeSums(sums.get(pair.name) ?? NO_SUMS, part));
    done += ranges.before.length;
    comparison.report({ type: 'progress', stage: 'compare values', done, total, unit: 'bytes' });
  }
  return sums;
}

async function readAndSum(comparison: Comparison, pair: MatchedPair, ranges: ChunkRanges): Promise<ValueSums> {
  const { before, after } = await readBoth(comparison, pair, ranges);
  return sumPairs({ dtype: pair.before.dtype, bytes: before }, { dtype: pair.after.dtype, bytes: after });
}

type Range = { readonly offset: number; readonly length: number };
type ChunkRanges = { readonly before: Range; readonly after: Range };

async function readBoth(
  { before, after }: Comparison,
  pair: MatchedPair,
  ranges: ChunkRanges,
): Promise<{ pair: MatchedPair; before: Uint8Array; after: Uint8Array }> {
  // Settled, not all: a read that goes on after this one is thrown would meet a closed file.
  const [left, right] = await Promise.allSettled([
    before.read(pair.before.name, ranges.before),
    after.read(pair.after.name, ranges.after),
  ]);
  if (left.status === 'rejected') throw left.reason;
  if (right.status === 'rejected') throw right.reason;
  return { pair, before: left.value, after: right.value };
}

function bytesOf(pairs: readonly MatchedPair[]): number {
  return pairs.reduce((sum, pair) => sum + pair.before.byteLength, 0);
}

function describe(pair: TensorPair, differs: boolean, sums: ValueSums | undefined): TensorDiff {
  const side = (info: TensorPair['before']) =>
    info === undefined ? null : { dtype: info.dtype, shape: info.shape, bytes: info.byteLength };
  return {
    name: pair.name,
    status: differs ? 'changed' : statusOf(pair),
    before: side(pair.before),
    after: side(pair.after),
    values: sums === undefined ? null : valueDiff(sums),
  };
}

function sideOf(checkpoint: Checkpoint, name = path.basename(checkpoint.path)): CheckpointSide {
  const infos = [...checkpoint.tensors.values()];
  return {
    name,
    tensors: infos.length,
    parameters: infos.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
    bytes: infos.reduce((sum, { byteLength }) => sum + byteLength, 0),
  };
}

async function changedFields(before: Checkpoint, after: Checkpoint): Promise<FieldChange[]> {
  const [configBefore, configAfter] = [await readConfig(before), await readConfig(after)];
  return [
    ...compareFields('config', fieldsOf(configBefore), fieldsOf(configAfter)),
    ...compareFields('metadata', fieldsOf(before.metadata), fieldsOf(after.metadata)),
    ...compareFields('alias', before.aliases, after.aliases),
  ];
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
}

function compareFields(
  where: FieldChange['where'],
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
): FieldChange[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
  return keys
    .map((key) => ({ where, key, before: before.get(key) ?? null, after: after.get(key) ?? null }))
    .filter((change) => canonicalJson(change.before) !== canonicalJson(change.after));
}
