import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf } from '../cli/flags.js';
import { formatBytes } from '../cli/quantities.js';
import { BirdboneError, EXIT_CODES } from '../errors.js';
import type { ScannedFile, ScanReport } from '../scanning/index.js';

export default class Scan extends BaseCommand<typeof Scan> {
  static override readonly summary = 'say what files of weights contain and would do when they are loaded';
  static override readonly description =
    `Executes nothing. Pickles (.pt, .bin, .ckpt and whatever else starts like one) are read to their end: every Python name
they ask for, every call, and what is odd about the archive around them. Other formats are read as strictly as by every
command. In folders, configurations that name code and chat templates are reported too.
Exit code 3 when there is an error or a warning; notes alone end with 0.`;
  static override readonly args = {
    paths: Args.string({ required: true, multiple: true, description: 'files or folders' }),
  };
  static override readonly flags = {
    sarif: Flags.string({
      summary: 'Write the findings as SARIF 2.1.0 to a file, or to standard output for -.',
      helpValue: '<file>|-',
      env: envOf('sarif'),
    }),
    names: Flags.boolean({ summary: 'List every Python name that the pickles ask for.', env: envOf('names') }),
  };
  static override readonly examples = [
    { description: 'Look at a model before using it', command: '<%= config.bin %> scan models/fledgling' },
    {
      description: 'Check downloads in CI, and show the findings on the code host',
      command: '<%= config.bin %> scan downloads/model.pt --sarif scan.sarif',
    },
  ];

  async run(): Promise<ScanReport> {
    const { sarif } = this.flags;
    if (sarif === '-' && this.jsonEnabled()) {
      throw new BirdboneError('usage', '--sarif - and --json both write to standard output. Only one can.', {
        suggestions: ['--sarif FILE'],
      });
    }
    const { sarifLog, scanPaths } = await import('../scanning/index.js');
    const report = await scanPaths(this.args.paths, { report: this.report, signal: this.signal });
    if (sarif !== undefined) await this.#writeSarif(sarif, sarifLog(report, this.config.version));
    if (sarif !== '-') this.log(render(report, this.flags.names));
    if (!report.clean) process.exitCode = EXIT_CODES.unsupported;
    return report;
  }

  async #writeSarif(file: string, log: object): Promise<void> {
    const { toJson } = await import('../cli/json.js');
    const text = toJson(log);
    if (file === '-') {
      this.log(text);
      return;
    }
    const { writeFileDurably } = await import('../checkpoint/index.js');
    await writeFileDurably(file, `${text}\n`);
  }
}

function render({ files, counts, clean }: ScanReport, withNames: boolean): string {
  const { error, warning, note } = counts;
  const verdict = clean ? 'clean' : 'not clean';
  const number = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
  const found = [number(error, 'error'), number(warning, 'warning'), number(note, 'note')].join(', ');
  const summary = `${number(files.length, 'file')}, ${verdict}: ${found}`;
  return [...files.map((file) => renderFile(file, withNames)), summary].join('\n');
}

function renderFile({ path, format, bytes, tensors, pickles, findings }: ScannedFile, withNames: boolean): string {
  const count = tensors === undefined ? '' : `, ${tensors} tensors`;
  const lines = [`${path}  ${format}, ${formatBytes(bytes)}${count}`];
  for (const { member, start, end, protocol, globals } of withNames ? pickles : []) {
    lines.push(`  ${member ?? `bytes ${start} to ${end}`}: a pickle of protocol ${protocol}`);
    for (const { name, allowed } of globals) lines.push(`    ${name}${allowed ? '' : '  not on the list'}`);
  }
  for (const { level, rule, message } of findings) lines.push(`  ${level.padEnd(7)}  ${message} (${rule})`);
  return lines.join('\n');
}
