import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, writerFlags } from '../cli/flags.js';
import { weightCheckText } from '../cli/weight-check-report.js';
import { BirdboneError, EXIT_CODES } from '../errors.js';
import type { WeightHashes } from '../manifest/index.js';
import type { CheckReport, UpdateReport } from '../repository/index.js';

interface HashedModel {
  readonly path: string;
  readonly weights: string;
  readonly metadata: string;
  readonly tensors: Record<string, { dtype: string; shape: readonly number[]; sha256: string }>;
}

interface Hashes {
  readonly models: readonly HashedModel[];
}

export default class Hash extends BaseCommand<typeof Hash> {
  static override readonly summary = 'hash the weights of models, and record or check the hashes in git';
  static override readonly description =
    `Prints a hash of each model's weights, which does not depend on how they are sharded. --update writes the hashes of every weight file and tensor of the repository into .weight_hashes.json at its root, to be committed with them; --check compares, with exit code 5 where anything differs. With paths, both are about the files under these alone.
A hook checks what a commit would have: hash --check --staged (docs/weight-hash-hook.md).`;
  static override readonly writes = 'files';
  static override readonly args = {
    paths: Args.string({ multiple: true, description: 'model folders or files of weights' }),
  };
  static override readonly flags = {
    update: Flags.boolean({
      summary: 'Write .weight_hashes.json; every file is read whole.',
      exclusive: ['check'],
      env: envOf('update'),
    }),
    tracked: Flags.boolean({
      summary: 'With --update: leave out files that git does not track.',
      dependsOn: ['update'],
      env: envOf('tracked'),
    }),
    check: Flags.boolean({ summary: 'Compare with .weight_hashes.json.', env: envOf('check') }),
    staged: Flags.boolean({
      summary: "With --check: look at git's index, not at the folder.",
      dependsOn: ['check'],
      env: envOf('staged'),
    }),
    ...writerFlags,
  };
  static override readonly examples = [
    { description: 'Record what a model is now', command: '<%= config.bin %> hash models/fledgling --update' },
    { description: 'Check all weights of a repository', command: '<%= config.bin %> hash --check' },
    { description: 'Check what the next commit would have', command: '<%= config.bin %> hash --check --staged' },
  ];

  async run(): Promise<Hashes | UpdateReport | CheckReport> {
    if (this.flags.update) return this.#update();
    if (this.flags.check) return this.#check();
    if (this.args.paths === undefined || this.args.paths.length === 0) {
      throw new BirdboneError('usage', 'hash needs the path of a model, or --update or --check for a repository.', {
        suggestions: ['birdbone hash models/fledgling', 'birdbone hash --check'],
      });
    }
    const models: HashedModel[] = [];
    for (const path of this.args.paths) {
      const model = await this.#hash(path);
      models.push(model);
      this.log(`${model.weights}  ${path}`);
    }
    return { models };
  }

  async #update(): Promise<UpdateReport> {
    const { scopeOf, updateWeightHashes } = await import('../repository/index.js');
    const report = await updateWeightHashes(await scopeOf(this.args.paths ?? [], process.cwd()), {
      report: this.report,
      signal: this.signal,
      trackedOnly: this.flags.tracked ?? false,
      dryRun: this.flags['dry-run'] ?? false,
    });
    this.log(updateText(report, this.flags['dry-run'] ?? false));
    return report;
  }

  async #check(): Promise<CheckReport> {
    const { checkWeightHashes, scopeOf } = await import('../repository/index.js');
    const report = await checkWeightHashes(await scopeOf(this.args.paths ?? [], process.cwd()), {
      report: this.report,
      signal: this.signal,
      staged: this.flags.staged ?? false,
    });
    this.log([...report.notices.map((notice) => `Note: ${notice}`), weightCheckText(report)].join('\n'));
    if (!report.matches) process.exitCode = EXIT_CODES.mismatch;
    return report;
  }

  async #hash(path: string): Promise<HashedModel> {
    const { openCheckpoint } = await import('../checkpoint/index.js');
    const { hashCheckpoint } = await import('../manifest/index.js');
    const checkpoint = await openCheckpoint(path);
    try {
      return listed(path, await hashCheckpoint(checkpoint, { report: this.report, signal: this.signal }));
    } finally {
      await checkpoint.close();
    }
  }
}

function listed(path: string, { weights, metadata, tensors }: WeightHashes): HashedModel {
  const byName = [...tensors].map(([name, { dtype, shape, sha256 }]) => [name, { dtype, shape, sha256 }]);
  return { path, weights, metadata, tensors: Object.fromEntries(byName) };
}

function updateText(report: UpdateReport, dryRun: boolean): string {
  const { file, manifest, files, added, changed, removed, notices } = report;
  const would = dryRun && manifest !== 'unchanged' ? 'would be ' : '';
  const counts = Object.entries({ added, changed, removed })
    .filter(([, names]) => names.length > 0)
    .map(([what, names]) => `${names.length} ${what}`);
  const total = `${files} weight ${files === 1 ? 'file' : 'files'}`;
  return [
    ...notices.map((notice) => `Note: ${notice}`),
    `${file} ${would}${manifest}: ${[total, ...counts].join(', ')}`,
  ].join('\n');
}
