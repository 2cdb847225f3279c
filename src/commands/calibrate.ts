import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import type { CalibrateResult, CompareResult } from '../calibrating/index.js';
import { BaseCommand } from '../cli/base-command.js';
import { renderCalibration } from '../cli/calibration-report.js';
import { renderComparison } from '../cli/comparison-report.js';
import { bytes, count, envOf, writerFlags } from '../cli/flags.js';
import { BirdboneError } from '../errors.js';

export default class Calibrate extends BaseCommand<typeof Calibrate> {
  static override readonly summary = 'make a calibration set out of texts: each once, balanced, described and hashed';
  static override readonly description = [
    'Every SOURCE is a text file, a JSON-lines file with a "text" field, or a quoted glob; what a glob finds is one source.',
    'Documents and passages that repeat an earlier one, to the letter or nearly, are dropped. The rest is balanced: every source gives the same number of tokens, and of each source every class of length.',
    'The file is accepted by --calibration wherever a text is; manifests name it by its sha256.',
    'With --compare, the sources are sets or texts: the model is quantized with each of them, and the results are measured on --data.',
  ].join('\n');
  static override readonly usage = [
    'calibrate SOURCES... --model MODEL --out <file> [FLAGS]',
    'calibrate --compare SETS... --model MODEL --data <file> [FLAGS]',
  ];
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
      summary: 'File for the set.',
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
    compare: Flags.boolean({
      summary: 'Compare sets by what a model quantized with each of them comes to.',
      dependsOn: ['data'],
      exclusive: ['out', 'choose', 'apart-from', 'activations'],
      env: envOf('compare'),
    }),
    data: Flags.string({
      summary: 'With --compare: text to measure on.',
      helpValue: '<file>',
      env: envOf('data'),
    }),
    scheme: Flags.string({
      summary: 'With --compare: what the weights become; int4 by default.',
      dependsOn: ['compare'],
      env: envOf('scheme'),
    }),
    algorithm: Flags.option({ options: ['gptq', 'awq', 'smoothquant'] as const })({
      summary: 'With --compare: how the codes are found; gptq by default.',
      dependsOn: ['compare'],
      env: envOf('algorithm'),
    }),
    limit: count({
      summary: 'With --compare: measure on the first <n> windows only.',
      env: envOf('limit'),
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
    {
      description: 'Which of two sets makes the better model',
      command:
        '<%= config.bin %> calibrate --compare calibration.json models/fledgling/calibration.txt --model models/fledgling --data models/fledgling/evaluation.txt',
    },
  ];

  async run(): Promise<CalibrateResult | CompareResult> {
    if (this.flags.compare) return this.#compare();
    const { calibrate } = await import('../calibrating/index.js');
    const { out } = this.flags;
    if (out === undefined) {
      throw new BirdboneError('usage', 'calibrate needs a file for the set: --out, or --compare to compare sets.', {
        suggestions: ['--out calibration.json'],
      });
    }
    const { model, windows = 128, context = 256, choose = 'random', seed = 0, activations, memory } = this.flags;
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

  async #compare(): Promise<CompareResult> {
    const { compareSets } = await import('../calibrating/index.js');
    const { model, data, scheme = 'int4', algorithm = 'gptq', windows = 128, context = 256, limit } = this.flags;
    const { seed = 0, memory, device, 'dry-run': dryRun } = this.flags;
    const result = await compareSets({
      sets: this.args.sources,
      model,
      data: data!,
      scheme,
      algorithm,
      windows,
      context,
      seed,
      device,
      ...this.deviceOptions,
      ...(limit !== undefined && { limit }),
      ...(memory !== undefined && { memoryBytes: memory }),
      dryRun,
      report: this.report,
      signal: this.signal,
    });
    this.log(renderComparison(result));
    return result;
  }
}
