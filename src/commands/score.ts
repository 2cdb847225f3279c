import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { amount, bytes, envOf, ratio, writerFlags } from '../cli/flags.js';
import { sparkline, table } from '../cli/picture.js';
import { checkCalibrationFlags, textFlags } from '../cli/recipe-flags.js';
import type { ScoreResult } from '../scoring/index.js';

type Threshold = NonNullable<ScoreResult['threshold']>;
type Comparison = NonNullable<ScoreResult['comparisons']>[number];

export default class Score extends BaseCommand<typeof Score> {
  static override readonly summary = 'say how much the weights count: by matrix, row, column and head, with histograms';
  static override readonly description =
    'Scores are those of the model as it is; a larger one means keep. CSV has one line for each matrix, row, column and head; JSON has histograms, too, and what --compare found.';
  static override readonly writes = 'files';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder, .safetensors or .gguf file' }),
  };
  static override readonly flags = {
    metric: Flags.string({
      summary: 'magnitude, wanda, ria, taylor, fisher, hessian, activation or flap (docs/metrics.md).',
      required: true,
      env: envOf('metric'),
    }),
    out: Flags.string({
      summary: 'File to write, .json or .csv.',
      required: true,
      helpValue: '<file>',
      env: envOf('out'),
    }),
    'keep-above': amount({
      summary: 'Say what would stay if every weight went that does not score above this.',
      env: envOf('keep-above'),
    }),
    compare: Flags.string({
      summary:
        'Another metric to compare with: rank correlation, and overlap of what would go; may be given several times.',
      helpValue: '<metric>',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      env: envOf('compare'),
    }),
    sparsity: ratio({
      summary: 'What the compared metrics would remove; 50% by default.',
      dependsOn: ['compare'],
      env: envOf('sparsity'),
    }),
    picture: Flags.string({
      summary: 'Draw the scores into one file, .html or .svg.',
      helpValue: '<file>',
      env: envOf('picture'),
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
    {
      description: 'How far two metrics agree, drawn',
      command:
        '<%= config.bin %> score models/fledgling --metric wanda --compare magnitude --calibration models/fledgling/calibration.txt --out scores.json --picture scores.html',
    },
    {
      description: 'What a threshold would leave of each layer',
      command: '<%= config.bin %> score models/fledgling --metric magnitude --keep-above 0.01 --out scores.csv',
    },
  ];

  async run(): Promise<ScoreResult> {
    const { score } = await import('../scoring/index.js');
    const { metric, out, compare, sparsity, picture, memory, device } = this.flags;
    const { calibration, 'calibration-windows': windows = 128, context = 256, 'keep-above': keepAbove } = this.flags;
    checkCalibrationFlags(this.flags);
    const result = await score({
      model: this.args.model,
      metric,
      out,
      device,
      ...this.deviceOptions,
      ...(calibration !== undefined && { calibration: { file: calibration, windows, context } }),
      ...(compare !== undefined && { compare }),
      ...(sparsity !== undefined && { sparsity }),
      ...(keepAbove !== undefined && { keepAbove }),
      ...(picture !== undefined && { picture }),
      ...(memory !== undefined && { memoryBytes: memory }),
      dryRun: this.flags['dry-run'],
      report: this.report,
      signal: this.signal,
    });
    this.log(render(result));
    return result;
  }
}

function render(result: ScoreResult): string {
  const { out, picture, written, metric, threshold, comparisons = [] } = result;
  const files = [`scores    ${out}`, ...(picture === undefined ? [] : [`picture   ${picture}`])];
  if (!written) return files.map((file) => `would write ${file.replace(/ +/, ' ')}`).join('\n');
  const parts = [
    [`${metric}, mean over each block's weights, first block to last`, ...meansByRole(result)],
    ...(threshold === undefined ? [] : [thresholdLines(threshold)]),
    ...comparisons.map(comparisonLines),
    files,
  ];
  return parts.map((lines) => lines.join('\n')).join('\n\n');
}

/** The mean score of each role over the blocks: where in the model its weights count most. */
function meansByRole({ metric, matrices }: ScoreResult): string[] {
  const own = matrices.filter((matrix) => matrix.metric === metric);
  const roles = [...new Set(own.map(({ role }) => role))];
  const width = Math.max(5, ...roles.map((role) => role.length));
  return roles.map((role) => {
    const means = own.filter((matrix) => matrix.role === role).map(({ all }) => all.mean);
    const [low, high] = [Math.min(...means), Math.max(...means)];
    const range = `mean ${low.toPrecision(3)} to ${high.toPrecision(3)}`;
    return `${role.padEnd(width)} ${sparkline(means, { min: 0 })}  ${range}`;
  });
}

function thresholdLines({ keepAbove, kept, removed, sparsity, matrices }: Threshold): string[] {
  const blocks = [...new Set(matrices.map(({ block }) => block))];
  const rows = blocks.map((block) => {
    const own = matrices.filter((matrix) => matrix.block === block);
    const stays = own.reduce((sum, matrix) => sum + matrix.kept, 0);
    const goes = own.reduce((sum, matrix) => sum + matrix.removed, 0);
    return [String(block), String(stays), String(goes), percent(goes / (stays + goes))];
  });
  return [
    `with a score above ${keepAbove} stay`,
    table([...rows, ['all', String(kept), String(removed), percent(sparsity)]], ['block', 'kept', 'gone', 'sparsity']),
  ];
}

function comparisonLines({ metrics, sparsity, all, overlapByChance, matrices }: Comparison): string[] {
  const overlaps = matrices.map(({ overlap }) => overlap ?? 0);
  return [
    `${metrics.join(' and ')}: rank correlation ${figure(all.rankCorrelation)} over ${all.sampled} weights`,
    `at sparsity ${sparsity} both would remove ${figure(all.overlap)} of what either would; ${figure(overlapByChance)} by chance`,
    `overlap by layer, first to last  ${sparkline(overlaps, { min: 0, max: 1 })}`,
  ];
}

function figure(value: number | null): string {
  return value === null ? '–' : value.toFixed(3);
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}
