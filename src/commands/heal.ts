import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { adapterLine, renderAdapter } from '../cli/adapter-report.js';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, writerFlags } from '../cli/flags.js';
import { adapterChoices, healFields, healFlags } from '../cli/heal-flags.js';
import { renderHealed } from '../cli/heal-report.js';
import { renderPlan } from '../cli/plan-report.js';
import { dataFlags, gateFlags, recipeOverrides, runFlags, runSettings, textFlags } from '../cli/recipe-flags.js';
import type { AdapterResult, Plan, RunOptions, RunResult } from '../waves/index.js';

export default class Heal extends BaseCommand<typeof Heal> {
  static override readonly summary = 'train a compressed model towards what it was, with its zeros kept bit for bit';
  static override readonly description = [
    'Adapters (LoRA) beside the linear weights inside the blocks learn to give the predictions of --base, and are merged into the weights that are left.',
    'Some of the calibration text is held out; a model that is no nearer to --base on that text and on the text of the gate is not published.',
    'Training goes back when the loss jumps, keeps its progress, and goes on with --resume as if it had never stopped.',
    'The figures are against --base; --max-drop and --gate refuse a result that is still too far from it, and are off by default.',
    'With --format adapter nothing is merged: the adapter is written in the layout of PEFT, and MODEL may be quantized.',
    'Without --data, a part of the calibration text that training does not see is measured on.',
  ].join('\n');
  static override readonly usage = 'heal MODEL --out <dir> --base <model> --calibration <file> [FLAGS]';
  static override readonly writes = 'model';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder, .safetensors or .gguf file' }),
  };
  static override readonly flags = {
    out: Flags.string({ summary: 'Folder for the result.', required: true, helpValue: '<dir>', env: envOf('out') }),
    base: Flags.string({
      summary: 'The model before it was compressed.',
      required: true,
      helpValue: '<model>',
      env: envOf('base'),
    }),
    format: Flags.option({ options: ['merged', 'adapter'] as const })({
      summary:
        'merged (the default): into the weights, zeros stay; adapter: beside them, for PEFT, also of a quantized model.',
      env: envOf('format'),
    }),
    ...healFlags,
    ...textFlags,
    ...dataFlags,
    ...gateFlags,
    ...runFlags,
    ...writerFlags,
  };
  static override readonly examples = [
    {
      description: 'Give back what pruning took, in as many steps on every machine',
      command:
        '<%= config.bin %> heal out/half --base models/fledgling --out out/healed --steps 20 --calibration models/fledgling/calibration.txt',
    },
    {
      description: 'For ten minutes, the weights that are left themselves, measured on a text of its own',
      command:
        '<%= config.bin %> heal out/half --base models/fledgling --out out/healed --rank full --minutes 10 --calibration models/fledgling/calibration.txt --data models/fledgling/evaluation.txt',
    },
    {
      description: 'Train beside weights in 4 bits, and refuse what is still more than 3 % worse than the dense model',
      command:
        '<%= config.bin %> heal out/half --base models/fledgling --out out/healed --qlora --max-drop 3% --calibration models/fledgling/calibration.txt',
    },
    {
      description: 'An adapter for PEFT beside a quantized model, whose codes stay as they are',
      command:
        '<%= config.bin %> heal out/int4 --base models/fledgling --out out/correction --format adapter --rank 16 --calibration models/fledgling/calibration.txt',
    },
  ];

  async run(): Promise<RunResult | Plan | AdapterResult | PlannedAdapter> {
    const options = await this.options();
    return this.flags.format === 'adapter' ? this.learn(options) : this.heal(options);
  }

  private async heal(options: RunOptions): Promise<RunResult | Plan> {
    const { planRun, run } = await import('../waves/index.js');
    if (this.flags['dry-run']) {
      const plan = await planRun(options);
      this.log(renderPlan(plan));
      return plan;
    }
    const result = await run(options);
    this.log(renderHealed(result));
    return result;
  }

  private async learn(options: RunOptions): Promise<AdapterResult | PlannedAdapter> {
    const { healAdapter, planAdapter } = await import('../waves/index.js');
    const choices = adapterChoices(this.flags);
    const adapter = { ...options, base: this.flags.base, rank: choices.rank, choices };
    if (this.flags['dry-run']) {
      const plan = await planAdapter(adapter);
      this.log(`${adapterLine(plan)} (nothing is written yet)`);
      return plan;
    }
    const result = await healAdapter(adapter);
    this.log(renderAdapter(result));
    return result;
  }

  private async options(): Promise<RunOptions> {
    const { parseRecipe } = await import('../recipe.js');
    const recipe = parseRecipe(
      {
        recipe: 1,
        model: this.args.model,
        reference: this.flags.base,
        // A model that is healed may be far from the dense one and still be worth having: it has to come nearer, no more.
        maxDrop: 1,
        ...recipeOverrides(this.flags),
        steps: [{ do: 'heal', ...healFields(this.flags) }],
      },
      'The command line',
    );
    return { recipe, ...runSettings(this.flags), report: this.report, signal: this.signal };
  }
}

type PlannedAdapter = Pick<AdapterResult, 'out' | 'rank' | 'bytes'>;
