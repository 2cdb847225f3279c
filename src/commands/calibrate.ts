import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import type { CalibrateResult } from '../calibrating/index.js';
import { BaseCommand } from '../cli/base-command.js';
import { renderCalibration } from '../cli/calibration-report.js';
import { bytes, count, envOf, writerFlags } from '../cli/flags.js';

export default class Calibrate extends BaseCommand<typeof Calibrate> {
  static override readonly summary = 'make a calibration set out of texts: each once, balanced, described and hashed';
  static override readonly description = [
    'Every SOURCE is a text file, a JSON-lines file with a "text" field, or a quoted glob; what a glob finds is one source.',
    'Documents and passages that repeat an earlier one, to the letter or nearly, are dropped. The rest is balanced: every source gives the same number of tokens, and of each source every class of length.',
    'The file is accepted by --calibration wherever a text is; manifests name it by its sha256.',
  ].join('\n');
  static override readonly usage = 'calibrate SOURCES... --model MODEL --out <file> [FLAGS]';
  static override readonly writes = 'files';
  static override readonly args = {
    sources: Args.string({ required: true, multiple: true, description: 'text files, .jsonl files, or quoted globs' }),
  };
  static override readonly flags = {
    model: Flags.string({
      summary: 'Model whose tokenizer cuts the texts.',
      required: true,
      helpValue: '<model>',
      env: envOf('model'),
    }),
    out: Flags.string({
      summary: 'File for the set; its name must end in .json.',
      required: true,
      helpValue: '<file>',
      env: envOf('out'),
    }),
    windows: count({
      summary: 'Size of the set, in windows of --context tokens; 128 by default.',
      env: envOf('windows'),
    }),
    context: count({ summary: 'The most tokens of a passage; 256 by default.', min: 2, env: envOf('context') }),
    choose: Flags.option({ options: ['random', 'vocabulary'] as const })({
      summary: 'Take any passages (the default), or those that cover most of the vocabulary.',
      env: envOf('choose'),
    }),
    'apart-from': Flags.string({
      summary: 'Text to measure on, from which nothing may be taken; may be given several times.',
      helpValue: '<file>',
      multiple: true,
      multipleNonGreedy: true,
      env: envOf('apart-from'),
    }),
    activations: Flags.boolean({
      summary: 'Also run the model, and say how much of the range of its activations the set reaches.',
      env: envOf('activations'),
    }),
    memory: bytes({
      summary: 'Memory for hidden states before they go to disk; 1GiB by default.',
      env: envOf('memory'),
    }),
    ...writerFlags,
  };
  static override readonly examples = [
    {
      description: 'A set of one text',
      command:
        '<%= config.bin %> calibrate models/fledgling/calibration.txt --model models/fledgling --out calibration.json --windows 16',
    },
    {
      description: 'Half prose, half conversations, nothing of the test, with a word on what it covers',
      command:
        "<%= config.bin %> calibrate 'texts/**/*.txt' chats.jsonl --model models/fledgling --out calibration.json --apart-from models/fledgling/evaluation.txt --activations",
    },
  ];

  async run(): Promise<CalibrateResult> {
    const { calibrate } = await import('../calibrating/index.js');
    const { model, out, windows = 128, context = 256, choose = 'random', seed = 0, activations, memory } = this.flags;
    const { 'apart-from': apartFrom, 'dry-run': dryRun, device } = this.flags;
    const result = await calibrate({
      sources: this.args.sources,
      model,
      out,
      windows,
      context,
      choice: choose,
      seed,
      activations,
      device,
      ...this.deviceOptions,
      ...(apartFrom !== undefined && { apartFrom }),
      ...(memory !== undefined && { memoryBytes: memory }),
      dryRun,
      report: this.report,
      signal: this.signal,
    });
    this.log(renderCalibration(result));
    return result;
  }
}
