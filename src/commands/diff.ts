import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, stateFlag } from '../cli/flags.js';
import { EXIT_CODES } from '../errors.js';
import type { DiffReport } from '../manifest/index.js';

export default class Diff extends BaseCommand<typeof Diff> {
  static override readonly summary = 'show what differs between two models or states, tensor by tensor';
  static override readonly description =
    'For each tensor: the fraction of elements changed, sparsity before and after, relative error, cosine. Prints Markdown.\nEither side may be a state of a run: OUT@N after wave N, OUT@dense, OUT@current, OUT@TAG. A path that exists is taken as it is.';
  static override readonly args = {
    before: Args.string({ required: true, description: 'model folder or file, or a state of a run: OUT@N' }),
    after: Args.string({ required: true, description: 'the other one' }),
  };
  static override readonly flags = {
    state: stateFlag,
    'exit-code': Flags.boolean({ summary: 'Exit with 5 when they differ.', env: envOf('exit-code') }),
  };
  static override readonly examples = [
    { description: 'What pruning changed', command: '<%= config.bin %> diff models/fledgling out/half' },
    { description: 'What the second wave changed', command: '<%= config.bin %> diff out/half@1 out/half@2' },
    {
      description: 'Fail in a script when two models differ at all',
      command: '<%= config.bin %> diff models/fledgling out/half --exit-code --quiet',
    },
  ];

  async run(): Promise<DiffReport> {
    const { diffCheckpoints, renderDiffMarkdown } = await import('../manifest/index.js');
    const { openPair } = await import('../waves/index.js');
    const watch = { report: this.report, signal: this.signal };
    const { state } = this.flags;
    const options = { ...watch, ...(state !== undefined && { state }) };
    const [before, after] = await openPair(this.args.before, this.args.after, options);
    try {
      const names = { before: before.name, after: after.name };
      const diff = await diffCheckpoints(before.checkpoint, after.checkpoint, { names, ...watch });
      this.log(renderDiffMarkdown(diff).trimEnd());
      if (this.flags['exit-code'] && !diff.identical) process.exitCode = EXIT_CODES.mismatch;
      return diff;
    } finally {
      await before.checkpoint.close();
      await after.checkpoint.close();
    }
  }
}
