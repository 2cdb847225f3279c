import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, writerFlags } from '../cli/flags.js';
import { renderPlan } from '../cli/plan-report.js';
import { renderCompressed } from '../cli/quality-report.js';
import { dataFlags, gateFlags, recipeOverrides, runFlags, runSettings, textFlags } from '../cli/recipe-flags.js';
import { renderSearch } from '../cli/search-report.js';
import type { SearchResult } from '../pipelines/index.js';
import type { Plan, RunOptions, RunResult } from '../waves/index.js';

/** A run, and the search that led to it. */
interface SearchedRun extends RunResult {
  readonly search: SearchResult;
}

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
    search: Flags.boolean({
      summary:
        'Look for the smallest model inside the gate first: less of each step, none of it, other schemes, every order; then carry that out.',
      env: envOf('search'),
    }),
    picture: Flags.string({
      summary: 'With --search: draw sizes and losses of all candidates into a .svg or .html file.',
      helpValue: '<file>',
      dependsOn: ['search'],
      env: envOf('picture'),
    }),
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
    {
      description: 'Find the smallest model that the gate lets through, and write that',
      command: '<%= config.bin %> run configs/half.json --search --picture search.html',
    },
  ];

  async run(): Promise<RunResult | SearchedRun | Plan> {
    const { loadRecipe } = await import('../recipe.js');
    const { planRun, run } = await import('../waves/index.js');
    const recipe = await loadRecipe(this.args.recipe, recipeOverrides(this.flags));
    const options = { recipe, ...runSettings(this.flags), report: this.report, signal: this.signal };
    if (this.flags['dry-run']) {
      const plan = await planRun(options);
      this.log(renderPlan(plan));
      return plan;
    }
    const result = this.flags.search ? await this.#searchAndRun(options) : await run(options);
    this.log(renderCompressed(result));
    return result;
  }

  async #searchAndRun(options: RunOptions): Promise<SearchedRun> {
    const { foundRun, search, writeSearchPicture } = await import('../pipelines/index.js');
    const { run } = await import('../waves/index.js');
    const found = await search(options);
    this.log(renderSearch(found));
    if (this.flags.picture !== undefined) await writeSearchPicture(found, this.flags.picture);
    return { ...(await run(foundRun(options, found))), search: found };
  }
}
