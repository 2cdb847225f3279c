import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, writerFlags } from '../cli/flags.js';
import { formatBytes } from '../cli/quantities.js';
import type { Garbage } from '../state/index.js';

interface Collection {
  readonly state: string;
  readonly removed: boolean;
  readonly bytes: number;
  readonly garbage: readonly Garbage[];
}

export default class Gc extends BaseCommand<typeof Gc> {
  static override readonly summary = "clean up a run's state: layers and files that nothing refers to any more";
  static override readonly description =
    'Layers of the waves that count are kept, since going back needs them; layers that were rolled back are removed, so that going forward again ends here.';
  static override readonly writes = 'files';
  static override readonly args = {
    out: Args.string({ required: true, description: 'output folder of a run' }),
  };
  static override readonly flags = {
    state: Flags.string({
      summary: 'Folder for journal and layers; .birdbone/<name> beside the output by default.',
      helpValue: '<dir>',
      env: envOf('state'),
    }),
    ...writerFlags,
  };
  static override readonly examples = [
    { description: 'Clean up after a run', command: '<%= config.bin %> gc out/half' },
    { description: 'See what would go', command: '<%= config.bin %> gc out/half --dry-run' },
  ];

  async run(): Promise<Collection> {
    const { collectGarbage, stateFolder } = await import('../state/index.js');
    const dryRun = this.flags['dry-run'] ?? false;
    const folder = stateFolder(this.args.out, this.flags.state);
    const garbage = await collectGarbage(folder, { dryRun });
    const bytes = garbage.reduce((sum, item) => sum + item.bytes, 0);
    const collection = { state: folder.root, removed: !dryRun, bytes, garbage };
    this.log(render(collection));
    return collection;
  }
}

function render({ state, removed, bytes, garbage }: Collection): string {
  if (garbage.length === 0) return `${state}: nothing to remove`;
  const items = garbage.map((item) => `${formatBytes(item.bytes).padStart(8)}  ${item.path} (${item.reason})`);
  return [...items, `${removed ? 'removed' : 'would remove'} ${formatBytes(bytes)}`].join('\n');
}
