import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { adapterLine, adapterOptions, renderAdapter } from '../cli/adapter-report.js';
import { BaseCommand } from '../cli/base-command.js';
import { type FactorizePlan, renderFactorizePlan } from '../cli/factor-report.js';
import { count, envOf, ratio, writerFlags } from '../cli/flags.js';
import { dataFlags, gateFlags, recipeOverrides, runFlags, runSettings, textFlags } from '../cli/recipe-flags.js';
import { renderRun } from '../cli/run-report.js';
import type { AdapterResult, Plan, RunResult } from '../waves/index.js';

export default class Factorize extends BaseCommand<typeof Factorize> {
  static override readonly summary =
    'store weights as two thin factors by (whitened) SVD, and keep it only inside the gate';
  static override readonly description = [
    'The linear weights inside the blocks become products of two thin matrices: as few numbers as --ratio, --energy or --rank ask for.',
    'Whitened SVD loses the least of what the weights do to the calibration text, plain SVD the least of the weights themselves.',
    'A matrix that factors would not make smaller stays as it is, and the report says why.',
    'With --ratio, a result outside the gate is tried again with half of it, down to --min-step. --resume goes on after an interruption.',
    'Without --data, the gate uses a part of the calibration text that calibration does not see.',
    'An adapter is written at once, without waves, journal or --resume; its folder has a birdbone.json, which verify looks at.',
  ].join('\n');
  static override readonly usage = 'factorize MODEL --out <dir> --ratio <ratio>|--energy <ratio>|--rank <n> [FLAGS]';
  static override readonly writes = 'model';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder, .safetensors or .gguf file' }),
  };
  static override readonly flags = {
    out: Flags.string({ summary: 'Folder for the result.', required: true, helpValue: '<dir>', env: envOf('out') }),
    ratio: ratio({ summary: "Fraction of the blocks' parameters to remove.", env: envOf('ratio') }),
    energy: ratio({ summary: 'Fraction of what each matrix carries that stays.', env: envOf('energy') }),
    rank: count({ summary: 'Rank of every matrix.', env: envOf('rank') }),
    ranks: Flags.option({ options: ['loss', 'uniform'] as const })({
      summary: 'How --ratio is divided: by marginal loss over all matrices (the default), or the same for each.',
      env: envOf('ranks'),
    }),
    algorithm: Flags.option({ options: ['whitened', 'svd'] as const })({
      summary: 'What is lost least: the outputs on the calibration text (whitened, the default), or the weights.',
      env: envOf('algorithm'),
    }),
    format: Flags.option({ options: ['factors', 'dense', 'adapter'] as const })({
      summary:
        'factors (the default), which birdbone runs; dense: their product, for any engine, no smaller; adapter: for PEFT, correcting a compressed MODEL.',
      env: envOf('format'),
    }),
    base: Flags.string({
      summary: 'With --format adapter: the model before it was compressed.',
      helpValue: '<model>',
      env: envOf('base'),
    }),
    'min-step': ratio({
      summary: 'The smallest step in --ratio that is still tried; 5% by default.',
      env: envOf('min-step'),
    }),
    ...textFlags,
    ...dataFlags,
    ...gateFlags,
    ...runFlags,
    ...writerFlags,
  };
  static override readonly examples = [
    {
      description: 'Remove a fifth of the parameters where the outputs suffer least',
      command:
        '<%= config.bin %> factorize models/fledgling --out out/thin --ratio 0.2 --calibration models/fledgling/calibration.txt',
    },
    {
      description: 'See ranks and losses before anything is written',
      command:
        '<%= config.bin %> factorize models/fledgling --out out/thin --energy 0.9 --calibration models/fledgling/calibration.txt --dry-run',
    },
    {
      description: 'What 4 bits have lost, as an adapter that PEFT loads over the quantized model',
      command:
        '<%= config.bin %> factorize out/int4 --base models/fledgling --format adapter --rank 16 --out out/correction --calibration models/fledgling/calibration.txt',
    },
    {
      description: 'The same rank everywhere by the weights alone, in a form that every engine loads',
      command:
        '<%= config.bin %> factorize models/fledgling --out out/rank-64 --rank 64 --algorithm svd --format dense --data models/fledgling/evaluation.txt --max-drop 100%',
    },
  ];

  async run(): Promise<RunResult | (Plan & FactorizePlan) | AdapterResult | PlannedAdapter> {
    const adapter = adapterOptions(this.flags);
    return adapter === undefined ? this.factorize() : this.correct(adapter);
  }

  private async factorize(): Promise<RunResult | (Plan & FactorizePlan)> {
    const { planFactors, planRun, run } = await import('../waves/index.js');
    const { ratio: share, energy, rank, ranks, algorithm, format, 'min-step': minStep } = this.flags;
    const settings = { ratio: share, energy, rank, ranks, algorithm, ...(format !== 'adapter' && { format }) };
    const options = await this.options({ ...settings, minStep });
    if (this.flags['dry-run']) {
      const plan = { ...(await planRun(options)), matrices: await planFactors(settings, options) };
      this.log(renderFactorizePlan(plan));
      return plan;
    }
    const result = await run(options);
    this.log(renderRun(result));
    return result;
  }

  private async correct(adapter: { base: string; rank: number }): Promise<AdapterResult | PlannedAdapter> {
    const { planAdapter, writeAdapter } = await import('../waves/index.js');
    const options = { ...(await this.options({ rank: adapter.rank })), ...adapter };
    if (this.flags['dry-run']) {
      const plan = await planAdapter(options);
      this.log(`${adapterLine(plan)} (nothing is written yet)`);
      return plan;
    }
    const result = await writeAdapter(options);
    this.log(renderAdapter(result));
    return result;
  }

  private async options(step: object) {
    const { parseRecipe } = await import('../recipe.js');
    const { model } = this.args;
    const recipe = parseRecipe(
      { recipe: 1, model, ...recipeOverrides(this.flags), steps: [{ do: 'factorize', ...step }] },
      'The command line',
    );
    return { recipe, ...runSettings(this.flags), report: this.report, signal: this.signal };
  }
}

type PlannedAdapter = Pick<AdapterResult, 'out' | 'rank' | 'bytes'>;
