import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, writerFlags } from '../cli/flags.js';
import { renderPlan } from '../cli/plan-report.js';
import { renderCompressed } from '../cli/quality-report.js';
import { quantizeFields, quantizeFlags } from '../cli/quantize-flags.js';
import { dataFlags, gateFlags, recipeOverrides, runFlags, runSettings, textFlags } from '../cli/recipe-flags.js';
import { type ChosenStrategy, type StrategyFields, strategyFields, strategyText } from '../cli/strategy-fields.js';
import type { QuantizeSettings } from '../quantizing/index.js';
import type { Plan, RunResult } from '../waves/index.js';

/** A run, and what was chosen for the hardware that it is for. */
interface ChosenRun extends RunResult {
  readonly chosen?: ChosenStrategy;
}

export default class Quantize extends BaseCommand<typeof Quantize> {
  static override readonly summary =
    'store weights in fewer bits, in a layout that engines load, and keep it only inside the gate';
  static override readonly description = [
    'The linear weights inside the blocks become integers, FP8 or NF4 with scales; for llama.cpp, blocks by one of its mixes, with embedding and head.',
    'The gate measures the very numbers that an engine computes with; a result outside it is not published.',
    'Beside the diff lies a report: sizes, bits a weight, error of each matrix, what was left as it was, and why.',
    'An interrupted run goes on with --resume.',
    'Without --data, the gate uses a part of the calibration text that calibration does not see.',
  ].join('\n');
  static override readonly usage = 'quantize MODEL --out <dir>|<file>.gguf --scheme <scheme> [FLAGS]';
  static override readonly writes = 'model';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder, .safetensors or .gguf file' }),
  };
  static override readonly flags = {
    out: Flags.string({
      summary: 'Folder for the result, or a .gguf file.',
      required: true,
      helpValue: '<dir>|<file>',
      env: envOf('out'),
    }),
    ...quantizeFlags,
    ...textFlags,
    ...dataFlags,
    ...gateFlags,
    ...runFlags,
    ...writerFlags,
  };
  static override readonly examples = [
    {
      description: 'Eight bits, one scale an output',
      command:
        '<%= config.bin %> quantize models/fledgling --out out/int8 --scheme int8 --data models/fledgling/evaluation.txt',
    },
    {
      description: 'Four bits by GPTQ, groups of 64, for vLLM and transformers',
      command:
        '<%= config.bin %> quantize models/fledgling --out out/int4 --scheme int4 --group-size 64 --algorithm gptq --calibration models/fledgling/calibration.txt',
    },
    {
      description: 'Half of the weights removed and the rest in four bits, in one sweep that makes up for both',
      command:
        '<%= config.bin %> quantize models/fledgling --out out/joint --scheme int4 --algorithm gptq --sparsity 0.5 --calibration models/fledgling/calibration.txt --max-drop 30%',
    },
    {
      description: 'One file for llama.cpp, with errors weighed by a text',
      command:
        '<%= config.bin %> quantize models/fledgling --out out/fledgling.gguf --scheme q4_k_m --calibration models/fledgling/calibration.txt',
    },
    {
      description: 'As it pays on a laptop, in at most 2 MB of weights',
      command:
        '<%= config.bin %> quantize models/fledgling --out out/laptop.gguf --for laptop-8gb --size 2MB --data models/fledgling/evaluation.txt',
    },
    {
      description: 'Four bits, but eight for the matrices that feed the residual stream',
      command:
        "<%= config.bin %> quantize models/fledgling --out out/mixed --scheme int4 --keep '*down_proj*=int8' --data models/fledgling/evaluation.txt",
    },
  ];

  async run(): Promise<ChosenRun | Plan> {
    const { parseRecipe } = await import('../recipe.js');
    const { defaultFormat } = await import('../quantizing/index.js');
    const { planRun, run } = await import('../waves/index.js');
    const strategy = this.flags.for === undefined ? undefined : await this.#strategyFor(this.flags.for);
    const fields = strategy === undefined ? quantizeFields(this.flags) : this.#fieldsOf(strategy);
    const { format = strategy?.format ?? defaultFormat(fields, this.flags.out), tp: tensorParallel } = this.flags;
    const recipe = parseRecipe(
      {
        recipe: 1,
        model: this.args.model,
        ...recipeOverrides(this.flags),
        output: { format, ...(tensorParallel !== undefined && { tensorParallel }) },
        steps: [{ do: 'quantize', ...fields }],
      },
      'The command line',
    );
    const options = { recipe, ...runSettings(this.flags), report: this.report, signal: this.signal };
    if (this.flags['dry-run']) {
      const plan = await planRun(options);
      this.log(renderPlan(plan));
      return plan;
    }
    const result = await run(options);
    this.log(renderCompressed(result));
    return { ...result, ...(strategy && { chosen: strategy.chosen }) };
  }

  /** What `advise` would choose; a size is a limit then. */
  async #strategyFor(hardware: string): Promise<StrategyFields> {
    const { adviseFor } = await import('../hardware/index.js');
    const { openModel } = await import('../model/index.js');
    const model = await openModel(this.args.model);
    try {
      const { size: sizeBytes } = this.flags;
      const limits = sizeBytes === undefined ? {} : { sizeBytes };
      const strategy = strategyFields(await adviseFor(model, { hardware, limits }), this.args.model);
      this.report({ type: 'notice', message: strategyText(strategy.chosen) });
      return strategy;
    } finally {
      await model.checkpoint.close();
    }
  }

  /** The strategy's fields, and what the flags say beside it: a size has been a limit of the choice. */
  #fieldsOf({ fields }: StrategyFields): QuantizeSettings {
    const { sizeBytes: _, ...asked } = quantizeFields(this.flags);
    const { algorithm = fields.algorithm, groupSize = fields.groupSize } = asked;
    return { ...asked, scheme: fields.scheme, algorithm, groupSize };
  }
}
