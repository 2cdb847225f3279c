import type { Kind } from './blows.js';

/** A step towards the state that a scenario begins with: a command line that ends well, or one that is killed at the first call like this. */
export type Step = readonly string[] | { readonly killed: readonly string[]; readonly at: RegExp };

/** One command in one situation. Paths are relative to a workplace with a tiny model in models/fledgling. */
export interface Scenario {
  /** Of birdbone: what `--commands` chooses by. */
  readonly command: string;
  readonly situation: string;
  /** Of blows; all when absent. What a long run does again and again is killed throughout, and failed once. */
  readonly kinds?: readonly Kind[];
  readonly prepare: readonly Step[];
  readonly victim: readonly string[];
  /** What a user would type after it was cut short. */
  readonly retry: readonly string[];
  /** Files and folders that must each be as before or as after, byte for byte, wherever the victim was cut. */
  readonly parts: readonly string[];
  /** Commands that only read: must end well after the blow and after the retry. */
  readonly readers: readonly (readonly string[])[];
  /** Removes what was left behind; afterwards every file must be as if nothing had happened. */
  readonly clean?: readonly string[];
  /** The command refuses to write over what is there, so it cannot be typed again once its output is whole. */
  readonly replacesNothing?: boolean;
}

const OUT = 'out/half';
/** Magnitude without a gate: nothing is computed that matters here, and starting is quick. */
const pruneIn = (waves: string, ...more: readonly string[]) => [
  ...['prune', 'models/fledgling', '--out', OUT, '--metric', 'magnitude', '--sparsity', '0.5', '--waves', waves],
  ...['--max-drop', '100%', '--device', 'cpu', '--diffs', 'diffs', '--quiet', ...more],
];
const prune = (...more: readonly string[]) => pruneIn('4', ...more);
const rollback = (...more: readonly string[]) => ['rollback', OUT, ...more, '--yes', '--diffs', 'diffs', '--quiet'];

/** At once: what a killed command left is minutes old at most. */
const GC = ['gc', OUT, '--grace', '0', '--quiet'];

const RUN = {
  parts: [OUT, 'diffs/half.diff.json', 'diffs/half.diff.md', 'models'],
  readers: [
    ['log', OUT],
    ['verify', OUT],
    ['check', OUT, '--read-data'],
  ],
  clean: GC,
} as const;

const REPEATED = (victim: readonly string[]) => ({ victim, retry: victim });

const PRUNES: readonly Scenario[] = [
  {
    command: 'prune',
    situation: 'fresh, in four waves',
    kinds: ['kill'],
    prepare: [],
    victim: prune(),
    retry: prune('--resume'),
    ...RUN,
  },
  {
    command: 'prune',
    situation: 'fresh, in one wave',
    kinds: ['error', 'full'],
    prepare: [],
    victim: pruneIn('1'),
    retry: pruneIn('1', '--resume'),
    ...RUN,
  },
  {
    command: 'prune',
    situation: '--resume of a run that was killed in its third wave',
    kinds: ['kill'],
    prepare: [{ killed: prune(), at: /^write .*"seq\\":4,/ }],
    ...REPEATED(prune('--resume')),
    ...RUN,
  },
  {
    command: 'prune',
    situation: '--restart over an earlier result, in one wave',
    kinds: ['error', 'full'],
    prepare: [prune()],
    ...REPEATED(pruneIn('1', '--pattern', '2:4', '--restart')),
    ...RUN,
  },
  {
    command: 'prune',
    situation: '--restart over an earlier result',
    kinds: ['kill'],
    prepare: [prune()],
    ...REPEATED(prune('--pattern', '2:4', '--restart')),
    ...RUN,
  },
];

const ROLLBACKS: readonly Scenario[] = [
  {
    command: 'rollback',
    situation: 'from wave 4 to wave 1',
    prepare: [prune()],
    ...REPEATED(rollback('--to', '1')),
    ...RUN,
  },
  {
    command: 'rollback',
    situation: 'forward from the dense model to wave 3',
    prepare: [prune(), rollback('--to', '0')],
    ...REPEATED(rollback('--to', '3')),
    ...RUN,
  },
  {
    command: 'rollback',
    situation: 'of the feed-forward matrices to wave 2',
    prepare: [prune()],
    ...REPEATED(rollback('--to', '2', '--tensors', '*.mlp.*')),
    ...RUN,
  },
];

const COLLECTIONS: readonly Scenario[] = [
  {
    command: 'gc',
    situation: 'after a rollback to wave 1',
    prepare: [prune(), rollback('--to', '1')],
    ...REPEATED(GC),
    ...RUN,
  },
  {
    command: 'gc',
    situation: 'after a run that was killed while publishing',
    prepare: [{ killed: prune(), at: /^rename .*birdbone\.json"/ }],
    ...REPEATED(GC),
    ...RUN,
  },
];

const NOTES: readonly Scenario[] = [
  {
    command: 'tag',
    situation: 'a state, and the name taken from another',
    prepare: [prune(), ['tag', OUT, 'best', '--at', '1']],
    ...REPEATED(['tag', OUT, 'best', '--at', '3', '--force']),
    ...RUN,
  },
  {
    command: 'hash',
    situation: '--update of a repository without recorded hashes',
    prepare: [],
    ...REPEATED(['hash', '--update', '--quiet']),
    parts: ['.weight_hashes.json', 'models'],
    readers: [['hash', '--check']],
  },
  {
    command: 'hash',
    situation: '--update after a model was added',
    prepare: [['hash', '--update', '--quiet'], prune()],
    ...REPEATED(['hash', '--update', '--quiet']),
    parts: ['.weight_hashes.json', 'models'],
    readers: [['hash', '--check']],
  },
];

/** Commands that replace nothing: once the output is there, doing it again is refused. */
const COPIES: readonly Scenario[] = [
  {
    command: 'export',
    situation: 'of wave 2',
    prepare: [prune()],
    ...REPEATED(['export', `${OUT}@2`, '--out', 'out/second', '--quiet']),
    ...RUN,
    parts: [OUT, 'out/second', 'models'],
    replacesNothing: true,
  },
  {
    command: 'convert',
    situation: 'to a GGUF',
    prepare: [],
    ...REPEATED(['convert', 'models/fledgling', '--out', 'out/model.gguf', '--quiet']),
    parts: ['out/model.gguf', 'models'],
    readers: [],
    replacesNothing: true,
  },
  {
    command: 'convert',
    situation: 'to a folder in half precision',
    prepare: [],
    ...REPEATED(['convert', 'models/fledgling', '--out', 'out/f16', '--dtype', 'f16', '--quiet']),
    parts: ['out/f16', 'models'],
    readers: [],
    replacesNothing: true,
  },
];

export const SCENARIOS: readonly Scenario[] = [...PRUNES, ...ROLLBACKS, ...COLLECTIONS, ...NOTES, ...COPIES];
