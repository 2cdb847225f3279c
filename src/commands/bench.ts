import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import type { Benchmark } from '../benchmarking/index.js';
import { BaseCommand } from '../cli/base-command.js';
import { renderBenchmark } from '../cli/bench-report.js';
import { count, envOf, stateFlag } from '../cli/flags.js';

export default class Bench extends BaseCommand<typeof Bench> {
  static override readonly summary =
    'measure load time, tokens a second and memory of a model, before and after compression';
  static override readonly description = [
    "Measures in birdbone's own forward pass and, for a GGUF where node-llama-cpp is installed, in llama.cpp, each in a process of its own; says what a token takes in operations and bytes.",
    'An output folder of a run is compared with what the run began with. All that is compared runs turn about; figures are medians, with the lowest and the highest.',
  ].join('\n');
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder or file, or the output folder of a run' }),
  };
  static override readonly flags = {
    base: Flags.string({
      summary: 'Compare with this model; of the output of a run, with what it began with.',
      helpValue: '<model>',
      env: envOf('base'),
    }),
    engine: Flags.option({ options: ['auto', 'birdbone', 'llama.cpp', 'both'] as const })({
      summary: 'What to measure in; auto takes llama.cpp besides birdbone where it can.',
      default: 'auto',
      env: envOf('engine'),
    }),
    'llama-cpp': Flags.string({
      summary: 'Folder in which the package node-llama-cpp is installed; found from the working directory by default.',
      helpValue: '<dir>',
      env: envOf('llama-cpp'),
    }),
    context: count({
      summary: 'Tokens of a window; 256 by default, or what the model takes.',
      min: 2,
      env: envOf('context'),
    }),
    windows: count({ summary: 'Windows in each round; 4 by default.', env: envOf('windows') }),
    generate: count({
      summary: 'Tokens to generate in each round, in llama.cpp; 32 by default.',
      env: envOf('generate'),
    }),
    repeats: count({ summary: 'Rounds, after one that warms up; 5 by default.', env: envOf('repeats') }),
    state: stateFlag,
  };
  static override readonly examples = [
    {
      description: 'How fast a model is here, and what a token takes',
      command: '<%= config.bin %> bench models/fledgling',
    },
    {
      description: 'What pruning changed: the result of a run against what it began with',
      command: '<%= config.bin %> bench out/half --json',
    },
    {
      description: 'Two GGUF files against each other, in llama.cpp as well',
      command: '<%= config.bin %> bench small.gguf --base dense.gguf --engine both --threads 1',
    },
  ];

  async run(): Promise<Benchmark> {
    const { benchmark } = await import('../benchmarking/index.js');
    const { base, engine, 'llama-cpp': llamaFolder, context, windows = 4, state, device } = this.flags;
    const { generate: generated = 32, repeats = 5, seed = 0 } = this.flags;
    const figures = await benchmark({
      model: this.args.model,
      engine,
      windows,
      generated,
      repeats,
      seed,
      device,
      ...this.deviceOptions,
      ...(context !== undefined && { context }),
      ...(base !== undefined && { base }),
      ...(state !== undefined && { state }),
      ...(llamaFolder !== undefined && { llamaFolder }),
      report: this.report,
      signal: this.signal,
    });
    this.log(renderBenchmark(figures));
    return figures;
  }
}
