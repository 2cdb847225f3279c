import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf } from '../cli/flags.js';
import { renderPlan } from '../cli/plan-report.js';
import { dataFlags, gateFlags, recipeOverrides, runFlags, runSettings, textFlags } from '../cli/recipe-flags.js';
import { type Source, sourcesOf } from '../cli/sources.js';
import type { Plan as PlanOfRun } from '../waves/index.js';

/** The plan, and where each field of its recipe got its value. */
interface PlannedRecipe extends PlanOfRun {
  readonly sources: Readonly<Record<string, Source>>;
}

export default class Plan extends BaseCommand<typeof Plan> {
  static override readonly summary = 'show what a recipe would do, and what it would take';
  static override readonly description =
    'Opens the model and the texts, measures the device for a moment, and estimates time, memory and disk. Writes nothing. Takes the flags of run, and says what run would refuse.';
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
  };
  static override readonly examples = [
    { description: 'Look before you run', command: '<%= config.bin %> plan configs/half.json' },
    {
      description: 'The recipe with every default filled in, and where each value comes from',
      command: '<%= config.bin %> plan configs/half.json --json | jq ".recipe, .sources"',
    },
  ];

  async run(): Promise<PlannedRecipe> {
    const { loadRecipe, readRecipeFile } = await import('../recipe.js');
    const { planRun } = await import('../waves/index.js');
    const overrides = recipeOverrides(this.flags);
    const recipe = await loadRecipe(this.args.recipe, overrides);
    const written = await readRecipeFile(this.args.recipe);
    const plan = await planRun({ recipe, ...runSettings(this.flags), report: this.report, signal: this.signal });
    this.log(renderPlan(plan));
    return { ...plan, sources: sourcesOf(recipe, { written, overrides, argv: this.argv }) };
  }
}
