import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { bytes, count, envOf, ratio, stateFlag, writerFlags } from '../cli/flags.js';
import { renderPlates } from '../cli/plates-report.js';
import { checkCalibrationFlags, textFlags } from '../cli/recipe-flags.js';
import type { PlatesResult } from '../surveying/index.js';

const KINDS = ['ffn-channel', 'kv-group', 'attention', 'ffn', 'block', 'expert', 'hidden', 'vocabulary'] as const;

export default class Plates extends BaseCommand<typeof Plates> {
  static override readonly summary =
    'list what can be shed together: channels, heads, experts, blocks, with cost, score, protection';
  static override readonly description =
    'A growth plate is a set of slices of tensors that go together. Scores are larger for what should stay; the level is the aggressiveness from which on a plate would be shed. With a calibration text, redundant plates and outliers are found, too.';
  static override readonly writes = 'files';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder or file, or a state of a run: OUT@N' }),
  };
  static override readonly flags = {
    kind: Flags.option({ options: KINDS, multiple: true, multipleNonGreedy: true })({
      summary: 'Only this kind of plate; may be repeated. All but the vocabulary by default.',
      env: envOf('kind'),
    }),
    block: count({ summary: 'Only the plates of this block, counted from 0.', min: 0, env: envOf('block') }),
    top: count({ summary: 'Lines of the list; 20 by default. Files have all.', env: envOf('top') }),
    sort: Flags.option({ options: ['level', 'score', 'cost', 'residual', 'id'] as const })({
      summary:
        'What comes first: what would be shed first (the default), the smallest score, the largest, the most redundant.',
      env: envOf('sort'),
    }),
    protected: Flags.boolean({ summary: 'Only protected plates.', env: envOf('protected') }),
    metric: Flags.string({
      summary: 'Metric of the scores; activation with a calibration text by default, magnitude without.',
      env: envOf('metric'),
    }),
    ...textFlags,
    aggressiveness: ratio({
      summary: 'Say what would be shed at this aggressiveness, 0 to 1.',
      env: envOf('aggressiveness'),
    }),
    'protect-first': count({
      summary: 'First blocks that are protected; 1 by default, 0 of fewer than 4.',
      min: 0,
      env: envOf('protect-first'),
    }),
    'protect-last': count({
      summary: 'Last blocks that are protected; 1 by default, 0 of fewer than 4.',
      min: 0,
      env: envOf('protect-last'),
    }),
    target: Flags.option({ options: ['hf', 'vllm', 'llama.cpp'] as const })({
      summary: 'Engine that is to load the result; its rules protect plates.',
      env: envOf('target'),
    }),
    tp: count({
      summary: 'Devices over which vllm splits the model; 1 by default.',
      dependsOn: ['target'],
      env: envOf('tp'),
    }),
    out: Flags.string({
      summary: 'File to write all plates of the list to, .json or .csv.',
      helpValue: '<file>',
      env: envOf('out'),
    }),
    picture: Flags.string({
      summary: 'File to draw the model into, .svg or .html: what is shed, protected and kept.',
      helpValue: '<file>',
      env: envOf('picture'),
    }),
    memory: bytes({
      summary: 'Memory for hidden states before they go to disk; 1GiB by default.',
      env: envOf('memory'),
    }),
    state: stateFlag,
    ...writerFlags,
  };
  static override readonly examples = [
    { description: 'What the weights alone say', command: '<%= config.bin %> plates models/fledgling' },
    {
      description: 'Redundant channels and heads, as a table of all',
      command:
        '<%= config.bin %> plates models/fledgling --calibration models/fledgling/calibration.txt --sort residual --out plates.csv',
    },
    {
      description: 'What a run has shed so far, as a picture',
      command: '<%= config.bin %> plates out/half@current --picture plates.html',
    },
  ];

  async run(): Promise<PlatesResult> {
    const { listPlates } = await import('../surveying/index.js');
    const { flags } = this;
    checkCalibrationFlags(flags);
    const { kind, block, sort, metric, calibration, aggressiveness, target, tp, out, picture, memory, state } = flags;
    const { 'calibration-windows': windows = 128, context = 256, 'protect-first': first, 'protect-last': last } = flags;
    const result = await listPlates({
      model: this.args.model,
      top: flags.top ?? 20,
      onlyProtected: flags.protected,
      device: flags.device,
      ...this.deviceOptions,
      ...(kind !== undefined && { kinds: kind }),
      ...(block !== undefined && { block }),
      ...(sort !== undefined && { sort }),
      ...(metric !== undefined && { metric }),
      ...(calibration !== undefined && { calibration: { file: calibration, windows, context } }),
      ...(aggressiveness !== undefined && { aggressiveness }),
      ...(first !== undefined && { protectFirst: first }),
      ...(last !== undefined && { protectLast: last }),
      ...(target !== undefined && { target }),
      ...(tp !== undefined && { shards: tp }),
      ...(out !== undefined && { out }),
      ...(picture !== undefined && { picture }),
      ...(memory !== undefined && { memoryBytes: memory }),
      ...(state !== undefined && { state }),
      dryRun: flags['dry-run'],
      report: this.report,
      signal: this.signal,
    });
    this.log(renderPlates(result));
    return result;
  }
}
