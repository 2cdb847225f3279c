import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { count, envOf, ratio, writerFlags } from '../cli/flags.js';
import { waveHealFields, waveHealFlags } from '../cli/heal-flags.js';
import { renderPlan } from '../cli/plan-report.js';
import { dataFlags, gateFlags, recipeOverrides, runFlags, runSettings, textFlags } from '../cli/recipe-flags.js';
import { renderRun } from '../cli/run-report.js';
import { shedFields, shedFlags } from '../cli/shed-flags.js';
import type { Plan, RunResult } from '../waves/index.js';

export default class Prune extends BaseCommand<typeof Prune> {
  static override readonly summary =
    'remove weights or whole plates in waves, and roll back a wave that costs too much';
  static override readonly description = [
    'Each wave removes some weights, measures the model against the dense one, and is kept only inside the gate (--max-drop, --gate).',
    'A wave that is not is rolled back and tried with half the step, down to --min-step.',
    'The dense model is never changed; the result appears whole or not at all, with its manifest (birdbone.json) and a diff.',
    'An interrupted run goes on with --resume.',
    'Without --data, the gate uses a part of the calibration text that calibration does not see.',
  ].join('\n');
  static override readonly usage = 'prune MODEL --out <dir> --sparsity <ratio> [FLAGS]';
  static override readonly writes = 'model';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder, .safetensors or .gguf file' }),
  };
  static override readonly flags = {
    out: Flags.string({ summary: 'Folder for the result.', required: true, helpValue: '<dir>', env: envOf('out') }),
    sparsity: ratio({ summary: 'Fraction of the weights inside the blocks to remove.', env: envOf('sparsity') }),
    metric: Flags.string({
      summary:
        'How much a weight counts: wanda (the default), magnitude, ria, taylor, fisher, hessian, activation or flap (docs/metrics.md).',
      env: envOf('metric'),
    }),
    pattern: Flags.string({
      summary: 'Which weights may go: unstructured (the default), or N:M, such as 2:4.',
      env: envOf('pattern'),
    }),
    compare: Flags.option({ options: ['row', 'layer', 'global'] as const })({
      summary: "Which weights compete with each other; the metric's own scope by default.",
      env: envOf('compare'),
    }),
    solver: Flags.string({
      summary:
        'Correct the weights that stay: refit (those the metric keeps), sparsegpt, sparsegpt-refit, alps; none by default.',
      env: envOf('solver'),
    }),
    thresholds: Flags.option({ options: ['uniform', 'owl', 'error', 'evolve', 'cluster'] as const })({
      summary:
        'How the sparsity is divided: over the matrices, or over clusters of their rows; uniform by default: the same everywhere.',
      env: envOf('thresholds'),
    }),
    waves: count({
      summary: 'Waves to the target, 5 by default; with --schedule adaptive, the most that are tried: 40.',
      env: envOf('waves'),
    }),
    schedule: Flags.option({ options: ['constant', 'linear', 'cubic', 'adaptive'] as const })({
      summary:
        'How the waves approach the target; cubic by default: large steps first. adaptive: as far each time as the last waves say the model bears.',
      env: envOf('schedule'),
    }),
    'min-step': ratio({
      summary: 'The smallest step in sparsity that is still tried; 1% by default.',
      env: envOf('min-step'),
    }),
    ...waveHealFlags,
    ...shedFlags,
    ...textFlags,
    ...dataFlags,
    ...gateFlags,
    ...runFlags,
    ...writerFlags,
  };
  static override readonly examples = [
    {
      description: 'Remove half of the weights, as long as accuracy falls by less than 3 %',
      command:
        '<%= config.bin %> prune models/fledgling --out out/half --sparsity 0.5 --calibration models/fledgling/calibration.txt',
    },
    {
      description: '2:4 by SparseGPT, with every weight that stays fitted to the outputs of the dense model',
      command:
        '<%= config.bin %> prune models/fledgling --out out/sparsegpt --pattern 2:4 --solver sparsegpt-refit --calibration models/fledgling/calibration.txt',
    },
    {
      description: '2:4 by magnitude, with a gate of two terms, measured on a text of its own',
      command:
        '<%= config.bin %> prune models/fledgling --out out/2-4 --pattern 2:4 --metric magnitude --data models/fledgling/evaluation.txt --gate "accuracy<5% and perplexity<1.2x"',
    },
    {
      description: 'Shed a fifth of the heads and FFN channels, for llama.cpp',
      command:
        '<%= config.bin %> prune models/fledgling --out out/small --plates auto --target llama.cpp --sparsity 0.2 --calibration models/fledgling/calibration.txt --max-drop 20%',
    },
  ];

  async run(): Promise<RunResult | Plan> {
    const { parseRecipe } = await import('../recipe.js');
    const { planRun, run } = await import('../waves/index.js');
    const { sparsity, metric, pattern, compare, solver, thresholds, waves, schedule, 'min-step': minStep } = this.flags;
    const step = {
      do: 'prune',
      sparsity,
      metric,
      pattern,
      compare,
      solver,
      thresholds,
      schedule,
      ...(schedule === 'adaptive' ? { adaptive: { maxWaves: waves } } : { waves }),
      minStep,
      ...waveHealFields(this.flags),
      ...shedFields(this.flags),
    };
    const recipe = parseRecipe(
      { recipe: 1, model: this.args.model, ...recipeOverrides(this.flags), steps: [step] },
      'The command line',
    );
    const options = { recipe, ...runSettings(this.flags), report: this.report, signal: this.signal };
    if (this.flags['dry-run']) {
      const plan = await planRun(options);
      this.log(renderPlan(plan));
      return plan;
    }
    const result = await run(options);
    this.log(renderRun(result));
    return result;
  }
}
