import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import type { AssessResult } from '../assessing/index.js';
import { BaseCommand } from '../cli/base-command.js';
import { renderDamage } from '../cli/damage-report.js';
import { bytes, count, envOf, stateFlag, writerFlags } from '../cli/flags.js';

export default class Damage extends BaseCommand<typeof Damage> {
  static override readonly summary = 'show where compression hurt a model, and what to heal first';
  static override readonly description =
    'Both models go through the text block by block. Each compressed block is also fed what the dense model feeds it, which tells the damage that it does from the damage it was given (docs/damage.md).';
  static override readonly writes = 'files';
  static override readonly args = {
    model: Args.string({ required: true, description: 'compressed model folder or file, or a state of a run: OUT@N' }),
  };
  static override readonly flags = {
    base: Flags.string({
      summary: 'The dense model; of a state of a run, that which the run began with.',
      helpValue: '<model>',
      env: envOf('base'),
    }),
    calibration: Flags.string({
      summary: 'Text that both models read.',
      helpValue: '<file>',
      required: true,
      env: envOf('calibration'),
    }),
    'calibration-windows': count({
      summary: 'Windows of the text to use; 16 by default.',
      env: envOf('calibration-windows'),
    }),
    context: count({ summary: 'Tokens in a window; 256 by default.', min: 2, env: envOf('context') }),
    clusters: Flags.string({
      summary: 'Clusters of output rows to divide the damage among: a file of cluster --neurons rows.',
      helpValue: '<file>.json',
      env: envOf('clusters'),
    }),
    out: Flags.string({
      summary: 'File to write everything to, .json or .csv.',
      helpValue: '<file>',
      env: envOf('out'),
    }),
    picture: Flags.string({
      summary: 'File to draw the damage into, .svg or .html.',
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
    {
      description: 'What a prune did, block by block',
      command:
        '<%= config.bin %> damage out/half --base models/fledgling --calibration models/fledgling/calibration.txt',
    },
    {
      description: 'A state of a run against what it began with, as a picture',
      command:
        '<%= config.bin %> damage out/half@1 --calibration models/fledgling/calibration.txt --picture damage.html',
    },
    {
      description: 'Everything about each matrix, as a table',
      command:
        '<%= config.bin %> damage out/half --base models/fledgling --calibration models/fledgling/calibration.txt --out damage.csv',
    },
  ];

  async run(): Promise<AssessResult> {
    const { assess } = await import('../assessing/index.js');
    const { base, calibration, clusters, out, picture, memory, state, device } = this.flags;
    const { 'calibration-windows': windows = 16, context = 256 } = this.flags;
    const result = await assess({
      model: this.args.model,
      calibration: { file: calibration, windows, context },
      device,
      ...this.deviceOptions,
      ...(base !== undefined && { base }),
      ...(clusters !== undefined && { clusters }),
      ...(out !== undefined && { out }),
      ...(picture !== undefined && { picture }),
      ...(memory !== undefined && { memoryBytes: memory }),
      ...(state !== undefined && { state }),
      dryRun: this.flags['dry-run'],
      report: this.report,
      signal: this.signal,
    });
    this.log(renderDamage(result));
    return result;
  }
}
