import * as Args from '@oclif/core/args';
import { BaseCommand } from '../cli/base-command.js';
import { duration, envOf, stateFlag, writerFlags } from '../cli/flags.js';
import { formatBytes, formatDuration } from '../cli/quantities.js';
import type { Garbage } from '../state/index.js';

/** A day: longer than any wave takes between writing an object and recording it. */
const DEFAULT_GRACE_SECONDS = 86_400;

interface Collection {
  readonly state: string;
  readonly removed: boolean;
  readonly graceSeconds: number;
  /** Of what was removed, or would be. */
  readonly bytes: number;
  readonly garbage: readonly Garbage[];
}

export default class Gc extends BaseCommand<typeof Gc> {
  static override readonly summary = "clean up a run's state: layers and files that nothing refers to any more";
  static override readonly description =
    `What the current state and tagged ones need is kept, since going back needs it; waves that were rolled back are removed, so that going forward again ends here.
Objects that were written within --grace stay, whoever they are for. When something is missing that a state needs, nothing is removed: exit code 5.`;
  static override readonly writes = 'files';
  static override readonly args = {
    out: Args.string({ required: true, description: 'output folder of a run' }),
  };
  static override readonly flags = {
    state: stateFlag,
    grace: duration({
      summary: 'Keep what is younger than this, such as 12h; 1d by default, and 0 removes at once.',
      env: envOf('grace'),
    }),
    ...writerFlags,
  };
  static override readonly examples = [
    { description: 'Clean up after a run', command: '<%= config.bin %> gc out/half' },
    { description: 'See what would go', command: '<%= config.bin %> gc out/half --dry-run' },
    { description: 'Make room now', command: '<%= config.bin %> gc out/half --grace 0' },
  ];

  async run(): Promise<Collection> {
    const { collectGarbage, stateFolder } = await import('../state/index.js');
    const dryRun = this.flags['dry-run'] ?? false;
    const folder = stateFolder(this.args.out, this.flags.state);
    const graceSeconds = this.flags.grace ?? DEFAULT_GRACE_SECONDS;
    const garbage = await collectGarbage(folder, { dryRun, graceSeconds });
    const bytes = sumOf(garbage.filter(({ young }) => !young));
    const collection = { state: folder.root, removed: !dryRun, graceSeconds, bytes, garbage };
    this.log(render(collection));
    return collection;
  }
}

function sumOf(garbage: readonly Garbage[]): number {
  return garbage.reduce((sum, { bytes }) => sum + bytes, 0);
}

function render({ state, removed, graceSeconds, bytes, garbage }: Collection): string {
  const old = garbage.filter(({ young }) => !young);
  const young = garbage.filter((item) => item.young);
  const items = old.map((item) => `${formatBytes(item.bytes).padStart(8)}  ${item.path} (${item.reason})`);
  const stays = `${formatBytes(sumOf(young))} in ${young.length} files that nothing refers to are younger than ${formatDuration(graceSeconds)}, and stay; --grace 0 removes them`;
  return [
    ...(old.length === 0 ? [`${state}: nothing to remove`] : items),
    ...(old.length === 0 ? [] : [`${removed ? 'removed' : 'would remove'} ${formatBytes(bytes)}`]),
    ...(young.length === 0 ? [] : [stays]),
  ].join('\n');
}
