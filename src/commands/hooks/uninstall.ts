import { BaseCommand } from '../../cli/base-command.js';
import { writerFlags } from '../../cli/flags.js';
import type { HookReport } from '../../repository/index.js';

export default class HooksUninstall extends BaseCommand<typeof HooksUninstall> {
  static override readonly summary = 'remove the git hook that hooks install wrote';
  static override readonly description = "A hook that anybody has changed, or that is not birdbone's, stays.";
  static override readonly writes = 'files';
  static override readonly flags = { ...writerFlags };
  static override readonly examples = [
    { description: 'Stop guarding the commits of this repository', command: '<%= config.bin %> hooks uninstall' },
    { description: 'See which hook would go', command: '<%= config.bin %> hooks uninstall --dry-run' },
  ];

  async run(): Promise<HookReport> {
    const { uninstallHook } = await import('../../repository/index.js');
    const dryRun = this.flags['dry-run'] ?? false;
    const report = await uninstallHook(process.cwd(), { dryRun });
    this.log(`${report.hook}: ${dryRun ? 'would be ' : ''}${report.change}`);
    return report;
  }
}
