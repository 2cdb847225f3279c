import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { bytes, envOf, writerFlags } from '../cli/flags.js';
import { sparkline } from '../cli/picture.js';
import { checkCalibrationFlags, textFlags } from '../cli/recipe-flags.js';
import type { ScoreResult } from '../scoring/index.js';

export default class Score extends BaseCommand<typeof Score> {
  static override readonly summary = 'say how much the weights count: by matrix, row, column and head, with histograms';
  static override readonly description =
    'Scores are those of the model as it is; a larger one means keep. CSV has one line for each matrix, row, column and head; JSON has histograms, too.';
  static override readonly writes = 'files';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder, .safetensors or .gguf file' }),
  };
  static override readonly flags = {
    metric: Flags.string({ summary: 'magnitude or wanda.', required: true, env: envOf('metric') }),
    out: Flags.string({
      summary: 'File to write, .json or .csv.',
      required: true,
      helpValue: '<file>',
      env: envOf('out'),
    }),
    ...textFlags,
    memory: bytes({
      summary: 'Memory for hidden states before they go to disk; 1GiB by default.',
      env: envOf('memory'),
    }),
    ...writerFlags,
  };
  static override readonly examples = [
    {
      description: 'Scores by the weights alone',
      command: '<%= config.bin %> score models/fledgling --metric magnitude --out scores.json',
    },
    {
      description: 'Scores that weigh in the activations on a text, as a table',
      command:
        '<%= config.bin %> score models/fledgling --metric wanda --calibration models/fledgling/calibration.txt --out scores.csv',
    },
  ];

  async run(): Promise<ScoreResult> {
    const { score } = await import('../scoring/index.js');
    const {
      metric,
      out,
      calibration,
      'calibration-windows': windows = 128,
      context = 256,
      memory,
      device,
    } = this.flags;
    checkCalibrationFlags(this.flags);
    const result = await score({
      model: this.args.model,
      metric,
      out,
      device,
      ...this.deviceOptions,
      ...(calibration !== undefined && { calibration: { file: calibration, windows, context } }),
      ...(memory !== undefined && { memoryBytes: memory }),
      dryRun: this.flags['dry-run'],
      report: this.report,
      signal: this.signal,
    });
    this.log(render(result));
    return result;
  }
}

/** The mean score of each role over the blocks: where in the model its weights count most. */
function render({ out, written, metric, matrices }: ScoreResult): string {
  if (!written) return `would write ${out}`;
  const roles = [...new Set(matrices.map(({ role }) => role))];
  const pictures = roles.map((role) => {
    const means = matrices.filter((matrix) => matrix.role === role).map(({ all }) => all.mean);
    const [low, high] = [Math.min(...means), Math.max(...means)];
    return `${role.padEnd(5)} ${sparkline(means, { min: 0 })}  mean ${low.toPrecision(3)} to ${high.toPrecision(3)}`;
  });
  return [`${metric}, mean over each block's weights, first block to last`, ...pictures, '', `scores    ${out}`].join(
    '\n',
  );
}
