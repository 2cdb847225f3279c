import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, writerFlags } from '../cli/flags.js';
import { formatBytes } from '../cli/quantities.js';
import type { InitResult, LfsPlan } from '../repository/index.js';

/** Files listed by name; the rest is a number. */
const MAX_LISTED = 10;

export default class Init extends BaseCommand<typeof Init> {
  static override readonly summary = 'make a git repository safe for weights';
  static override readonly description =
    `Adds what is missing, and changes no line that is there: git-lfs rules (.gitattributes), ignored names (.gitignore), a hook that checks hashes before a commit (.pre-commit-config.yaml), the same in CI (.github/workflows/weights.yml), and the folders configs, models and diffs with a page each.
Running it again changes nothing. A rule of yours that stands against it wins, and is reported.`;
  static override readonly writes = 'files';
  static override readonly args = {
    folder: Args.string({ default: '.', description: 'a folder in a git repository' }),
  };
  static override readonly flags = {
    git: Flags.boolean({ summary: 'Make a git repository first where there is none.', env: envOf('git') }),
    'plan-lfs': Flags.boolean({
      summary: "Print how to move the weights in this repository's history into git-lfs; changes nothing.",
      exclusive: ['git', 'package'],
      env: envOf('plan-lfs'),
    }),
    package: Flags.string({
      summary: 'What npm installs birdbone from in CI; this version by default.',
      helpValue: '<spec>',
      env: envOf('package'),
    }),
    ...writerFlags,
  };
  static override readonly examples = [
    {
      description: 'Set up this folder, and a git repository if there is none',
      command: '<%= config.bin %> init --git',
    },
    { description: 'See what would change, as a diff', command: '<%= config.bin %> init --dry-run' },
    { description: 'See what moving the history to git-lfs takes', command: '<%= config.bin %> init --plan-lfs' },
    { description: 'Let CI install another version', command: '<%= config.bin %> init --package birdbone@0.1.0' },
  ];

  async run(): Promise<InitResult | LfsPlan> {
    if (this.flags['plan-lfs']) return this.#planLfs();
    const { initRepository } = await import('../repository/index.js');
    const { git, package: spec = `birdbone@${this.config.version}`, 'dry-run': dryRun = false } = this.flags;
    const result = await initRepository(this.args.folder, { git, dryRun, spec, signal: this.signal });
    this.log(render(result));
    return result;
  }

  async #planLfs(): Promise<LfsPlan> {
    const { planLfs } = await import('../repository/index.js');
    const { renderLfsPlan } = await import('../cli/lfs-plan-report.js');
    const plan = await planLfs(this.args.folder);
    this.log(renderLfsPlan(plan));
    return plan;
  }
}

function render(result: InitResult): string {
  const { root, written, repository, changes, kept, conflicts, next } = result;
  const verb = (action: string): string => (written ? action : `would ${action}`);
  const made = repository === 'found' ? '' : ` (${written ? 'created' : 'would be created'})`;
  return [
    ...(written ? [] : changes.map(({ diff }) => diff.replaceAll('\r\n', '\n'))),
    row('repository', root + made),
    ...changes.map(({ path, action, addedLines }) => row(verb(action), `${path}, ${addedLines} lines`)),
    ...kept.map((path) => row('keep', path)),
    ...conflicts.flatMap(({ file, line, what, fix }) => [
      row('conflict', `${file}${line === undefined ? '' : `:${line}`}: ${what}`),
      row('', fix),
    ]),
    ...renderCommitted(result),
    ...next.map((step, index) => row(index === 0 ? 'next' : '', step)),
  ].join('\n');
}

function row(label: string, text: string): string {
  return label.padEnd(14) + text;
}

function renderCommitted({ committed }: InitResult): string[] {
  const meant = committed.filter(({ exempt }) => !exempt);
  if (meant.length === 0) return [];
  const bytes = meant.reduce((sum, file) => sum + file.bytes, 0);
  const rest = meant.length - MAX_LISTED;
  return [
    row('in git', `${formatBytes(bytes)} of weights are in git itself, not in git-lfs:`),
    ...meant.slice(0, MAX_LISTED).map((file) => row('', `${formatBytes(file.bytes).padStart(8)}  ${file.path}`)),
    ...(rest > 0 ? [row('', `and ${rest} more`)] : []),
  ];
}
