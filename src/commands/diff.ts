import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf } from '../cli/flags.js';
import { EXIT_CODES } from '../errors.js';
import type { DiffReport } from '../manifest/index.js';

export default class Diff extends BaseCommand<typeof Diff> {
  static override readonly summary = 'show what differs between two models, tensor by tensor';
  static override readonly description =
    'For each tensor: the fraction of elements changed, sparsity before and after, relative error, cosine. Prints Markdown.';
  static override readonly args = {
    before: Args.string({ required: true, description: 'model folder or .safetensors file' }),
    after: Args.string({ required: true, description: 'the other one' }),
  };
  static override readonly flags = {
    'exit-code': Flags.boolean({ summary: 'Exit with 5 when they differ.', env: envOf('exit-code') }),
  };
  static override readonly examples = [
    { description: 'What pruning changed', command: '<%= config.bin %> diff models/fledgling out/half' },
    {
      description: 'Fail in a script when two models differ at all',
      command: '<%= config.bin %> diff models/fledgling out/half --exit-code --quiet',
    },
  ];

  async run(): Promise<DiffReport> {
    const { diffCheckpoints, renderDiffMarkdown } = await import('../manifest/index.js');
    const { openCheckpoint } = await import('../checkpoint/index.js');
    const before = await openCheckpoint(this.args.before);
    try {
      const after = await openCheckpoint(this.args.after);
      try {
        const diff = await diffCheckpoints(before, after, { report: this.report, signal: this.signal });
        this.log(renderDiffMarkdown(diff).trimEnd());
        if (this.flags['exit-code'] && !diff.identical) process.exitCode = EXIT_CODES.mismatch;
        return diff;
      } finally {
        await after.close();
      }
    } finally {
      await before.close();
    }
  }
}
