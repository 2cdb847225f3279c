import path from 'node:path';
import { BaseCommand } from '../../cli/base-command.js';
import { writerFlags } from '../../cli/flags.js';
import type { HookReport } from '../../repository/index.js';

export default class HooksInstall extends BaseCommand<typeof HooksInstall> {
  static override readonly summary = 'install a git hook that refuses a commit whose weights are not as recorded';
  static override readonly description =
    `The hook runs "birdbone hash --check --staged" before each commit. It goes where git looks for hooks (core.hooksPath and linked work trees included); a hook of somebody else's is left as it is, and the line to add to it is shown.`;
  static override readonly writes = 'files';
  static override readonly flags = { ...writerFlags };
  static override readonly examples = [
    { description: 'Guard the commits of this repository', command: '<%= config.bin %> hooks install' },
    { description: 'See where the hook would go', command: '<%= config.bin %> hooks install --dry-run' },
  ];

  async run(): Promise<HookReport> {
    const { installHook } = await import('../../repository/index.js');
    const paths = { node: process.execPath, entry: path.join(this.config.root, 'bin', 'run.js') };
    const dryRun = this.flags['dry-run'] ?? false;
    const report = await installHook(process.cwd(), paths, { dryRun });
    this.log(`${report.hook}: ${dryRun ? 'would be ' : ''}${report.change}`);
    return report;
  }
}
