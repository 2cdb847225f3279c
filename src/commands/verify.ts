import * as Args from '@oclif/core/args';
import { BaseCommand } from '../cli/base-command.js';
import { table } from '../cli/picture.js';
import { EXIT_CODES } from '../errors.js';
import type { VerifyReport } from '../manifest/index.js';

export default class Verify extends BaseCommand<typeof Verify> {
  static override readonly summary = 'check that a model is what its manifest says';
  static override readonly description =
    `Reads every byte of the weights and names each tensor that differs from birdbone.json.
Exit code 5 when anything differs.`;
  static override readonly args = {
    folder: Args.string({ required: true, description: 'model folder with a birdbone.json' }),
  };
  static override readonly examples = [
    { description: 'Check a pruned model', command: '<%= config.bin %> verify out/half' },
    {
      description: 'The names of damaged tensors, for a script',
      command: "<%= config.bin %> verify out/half --json | jq -r '.findings[].name'",
    },
  ];

  async run(): Promise<VerifyReport> {
    const { verifyFolder } = await import('../manifest/index.js');
    const verified = await verifyFolder(this.args.folder, { report: this.report, signal: this.signal });
    this.log(renderVerification(verified));
    if (!verified.matches) process.exitCode = EXIT_CODES.mismatch;
    return verified;
  }
}

function renderVerification({ folder, matches, findings, weights, metadata, config, tensors }: VerifyReport): string {
  if (matches) return `${folder} matches its manifest: ${tensors} tensors, weights ${weights.found}`;
  const parts = Object.entries({ weights, metadata, config })
    .filter(([, hash]) => !hash.matches)
    .map(
      ([name, { recorded, found }]) =>
        `${name.padEnd(9)} recorded ${recorded ?? 'none'}\n          found    ${found ?? 'none'}`,
    );
  const rows = findings.map(({ name, finding }) => [name, finding]);
  return [
    `${folder} does not match its manifest.`,
    ...parts,
    ...(rows.length > 0 ? [table(rows, ['tensor', ''])] : []),
  ].join('\n');
}
