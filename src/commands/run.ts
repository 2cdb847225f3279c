import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, writerFlags } from '../cli/flags.js';
import { renderPlan } from '../cli/plan-report.js';
import { dataFlags, gateFlags, recipeOverrides, runFlags, runSettings, textFlags } from '../cli/recipe-flags.js';
import { renderRun } from '../cli/run-report.js';
import type { Plan, RunResult } from '../waves/index.js';

export default class Run extends BaseCommand<typeof Run> {
  static override readonly summary = 'carry out a recipe';
  static override readonly description =
    'A recipe is a JSON file that names a model, an output, texts, a gate and steps (configs/README.md). A flag wins over the recipe.';
  static override readonly writes = 'model';
  static override readonly args = {
    recipe: Args.string({ required: true, description: 'recipe file' }),
  };
  static override readonly flags = {
    model: Flags.string({
      summary: "Model to work on, in place of the recipe's.",
      helpValue: '<dir|file>',
      env: envOf('model'),
    }),
    out: Flags.string({
      summary: "Folder or .gguf for the result, in place of the recipe's.",
      helpValue: '<dir|file>',
      env: envOf('out'),
    }),
    ...textFlags,
    ...dataFlags,
    ...gateFlags,
    ...runFlags,
    ...writerFlags,
  };
  static override readonly examples = [
    {
      description: 'Carry out the recipe that comes with birdbone',
      command: '<%= config.bin %> run configs/half.json',
    },
    {
      description: 'The same with a stricter gate, after looking at what it would do',
      command:
        '<%= config.bin %> plan configs/half.json --max-drop 1% && <%= config.bin %> run configs/half.json --max-drop 1%',
    },
  ];

  async run(): Promise<RunResult | Plan> {
    const { loadRecipe } = await import('../recipe.js');
    const { planRun, run } = await import('../waves/index.js');
    const recipe = await loadRecipe(this.args.recipe, recipeOverrides(this.flags));
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
