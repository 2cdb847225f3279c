import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, writerFlags } from '../cli/flags.js';
import { EXIT_CODES } from '../errors.js';
import type { VerifyReport, WeightHashes } from '../manifest/index.js';

interface HashedModel {
  readonly path: string;
  readonly weights: string;
  readonly metadata: string;
  readonly tensors?: Record<string, { dtype: string; shape: readonly number[]; sha256: string }>;
  /** With --update: what happened to birdbone.json. With --check: whether the model matches it. */
  readonly manifest?: 'created' | 'updated' | 'unchanged' | 'matches' | 'differs';
}

interface Hashes {
  readonly models: readonly HashedModel[];
}

export default class Hash extends BaseCommand<typeof Hash> {
  static override readonly summary = 'hash the weights of models, and record or check the hashes';
  static override readonly description =
    `The hash of a model's weights does not depend on how they are sharded; config and metadata have a hash of their own.
--update writes birdbone.json into each folder; --check compares with it, with exit code 5 on a mismatch.`;
  static override readonly writes = 'files';
  static override readonly args = {
    paths: Args.string({ required: true, multiple: true, description: 'model folders or .safetensors files' }),
  };
  static override readonly flags = {
    update: Flags.boolean({ summary: 'Write birdbone.json.', exclusive: ['check'], env: envOf('update') }),
    check: Flags.boolean({ summary: 'Compare with birdbone.json.', env: envOf('check') }),
    ...writerFlags,
  };
  static override readonly examples = [
    { description: 'Record what a model is now', command: '<%= config.bin %> hash models/fledgling --update' },
    {
      description: 'Check several models before a commit',
      command: '<%= config.bin %> hash models/fledgling out/half --check',
    },
  ];

  async run(): Promise<Hashes> {
    const models: HashedModel[] = [];
    for (const path of this.args.paths) {
      const model = await this.#hash(path);
      models.push(model);
      this.log(`${model.weights}  ${path}${model.manifest === undefined ? '' : `  manifest ${model.manifest}`}`);
    }
    if (models.some(({ manifest }) => manifest === 'differs')) process.exitCode = EXIT_CODES.mismatch;
    return { models };
  }

  async #hash(path: string): Promise<HashedModel> {
    const { recordHashes, verifyFolder } = await import('../manifest/index.js');
    const watch = { report: this.report, signal: this.signal };
    if (this.flags.update) {
      const { weights, metadata, manifest } = await recordHashes(path, {
        ...watch,
        version: this.config.version,
        dryRun: this.flags['dry-run'],
      });
      return { path, weights, metadata, manifest };
    }
    if (this.flags.check) return checked(await verifyFolder(path, watch));
    return this.#list(path);
  }

  async #list(path: string): Promise<HashedModel> {
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

function checked({ folder, matches, weights, metadata }: VerifyReport): HashedModel {
  return {
    path: folder,
    weights: weights.found ?? '',
    metadata: metadata.found ?? '',
    manifest: matches ? 'matches' : 'differs',
  };
}

function listed(path: string, { weights, metadata, tensors }: WeightHashes): HashedModel {
  const byName = [...tensors].map(([name, { dtype, shape, sha256 }]) => [name, { dtype, shape, sha256 }]);
  return { path, weights, metadata, tensors: Object.fromEntries(byName) };
}
