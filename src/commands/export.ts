import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, stateFlag, writerFlags } from '../cli/flags.js';
import { formatBytes } from '../cli/quantities.js';
import { stateText } from '../cli/state-text.js';
import type { Exported } from '../waves/index.js';

export default class Export extends BaseCommand<typeof Export> {
  static override readonly summary = 'write any state of a run as a model folder of its own';
  static override readonly description = [
    'OUT@N is the state after wave N, OUT@dense the base, OUT@TAG a tagged state, OUT@current (or OUT) where the output is now.',
    "The folder appears whole or not at all, with its manifest (birdbone.json); the run's own output and history stay as they are.",
  ].join('\n');
  static override readonly writes = 'files';
  static override readonly args = {
    state: Args.string({ required: true, description: 'OUT@N, OUT@dense, OUT@TAG or OUT' }),
  };
  static override readonly flags = {
    out: Flags.string({ summary: 'Folder to write.', required: true, helpValue: '<dir>', env: envOf('out') }),
    state: stateFlag,
    ...writerFlags,
  };
  static override readonly examples = [
    { description: 'The model after the first wave', command: '<%= config.bin %> export out/half@1 --out out/gentle' },
    {
      description: 'See what a tagged state would take',
      command: '<%= config.bin %> export out/half@best --out out/best --dry-run',
    },
  ];

  async run(): Promise<Exported> {
    const { exportState } = await import('../waves/index.js');
    const { out, state, 'dry-run': dryRun = false } = this.flags;
    const where = state === undefined ? {} : { state };
    const options = { reference: this.args.state, out, dryRun, ...where, report: this.report, signal: this.signal };
    const exported = await exportState(options);
    this.log(render(exported, dryRun));
    return exported;
  }
}

function render({ out, name, state, weights, weightBytes }: Exported, dryRun: boolean): string {
  return [
    `state    ${name}: ${stateText(state)}`,
    `weights  ${formatBytes(weightBytes)}, ${weights}`,
    `folder   ${out}${dryRun ? ' (nothing is written)' : ''}`,
  ].join('\n');
}
