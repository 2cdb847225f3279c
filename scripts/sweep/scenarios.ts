/** A step towards the state that a scenario begins with: a command line that ends well, or one that is killed at the first call like this. */
export type Step = readonly string[] | { readonly killed: readonly string[]; readonly at: RegExp };

/** One command in one situation. Paths are relative to a workplace with a tiny model in models/fledgling. */
export interface Scenario {
  /** Of birdbone: what `--commands` chooses by. */
  readonly command: string;
  readonly situation: string;
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
}

const OUT = 'out/half';
/** Magnitude without a gate: nothing is computed that matters here, and starting is quick. */
const prune = (...more: readonly string[]) => [
  ...['prune', 'models/fledgling', '--out', OUT, '--metric', 'magnitude', '--sparsity', '0.5', '--waves', '4'],
  ...['--max-drop', '100%', '--device', 'cpu', '--diffs', 'diffs', '--quiet', ...more],
];
const rollback = (...more: readonly string[]) => ['rollback', OUT, ...more, '--yes', '--diffs', 'diffs', '--quiet'];

const RUN = {
  parts: [OUT, 'diffs/half.diff.json', 'diffs/half.diff.md', 'models'],
  readers: [
    ['log', OUT],
    ['verify', OUT],
  ],
  clean: ['gc', OUT, '--quiet'],
} as const;

/** Copies of the model, so that one `hash --update` writes many manifests. */
export const COPIES = Array.from({ length: 24 }, (_, i) => `models/copy-${i}`);

export const SCENARIOS: readonly Scenario[] = [
  { command: 'prune', situation: 'fresh', prepare: [], victim: prune(), retry: prune('--resume'), ...RUN },
  {
    command: 'prune',
    situation: '--resume of a run that was killed in its third wave',
    prepare: [{ killed: prune(), at: /^write .*"seq\\":4,/ }],
    victim: prune('--resume'),
    retry: prune('--resume'),
    ...RUN,
  },
  {
    command: 'prune',
    situation: '--restart over an earlier result',
    prepare: [prune()],
    victim: prune('--pattern', '2:4', '--restart'),
    retry: prune('--pattern', '2:4', '--restart'),
    ...RUN,
  },
  {
    command: 'rollback',
    situation: 'from wave 4 to wave 1',
    prepare: [prune()],
    victim: rollback('--to', '1'),
    retry: rollback('--to', '1'),
    ...RUN,
  },
  {
    command: 'rollback',
    situation: 'forward from the dense model to wave 3',
    prepare: [prune(), rollback('--to', '0')],
    victim: rollback('--to', '3'),
    retry: rollback('--to', '3'),
    ...RUN,
  },
  {
    command: 'gc',
    situation: 'after a rollback to wave 1',
    prepare: [prune(), rollback('--to', '1')],
    victim: ['gc', OUT, '--quiet'],
    retry: ['gc', OUT, '--quiet'],
    ...RUN,
  },
  {
    command: 'gc',
    situation: 'after a run that was killed while publishing',
    prepare: [{ killed: prune(), at: /^rename .*birdbone\.json"/ }],
    victim: ['gc', OUT, '--quiet'],
    retry: ['gc', OUT, '--quiet'],
    ...RUN,
  },
  {
    command: 'hash',
    situation: '--update of 24 models without a manifest',
    prepare: [],
    victim: ['hash', ...COPIES, '--update', '--quiet'],
    retry: ['hash', ...COPIES, '--update', '--quiet'],
    parts: COPIES,
    readers: [],
  },
];
