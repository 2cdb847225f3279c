import path from 'node:path';
import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { type Advice, renderAdvice } from '../cli/advice-report.js';
import { BaseCommand } from '../cli/base-command.js';
import { amount, bytes, count, envOf } from '../cli/flags.js';
import { HARDWARE } from '../cli/hardware-flags.js';
import { EXIT_CODES } from '../errors.js';
import type { Advised, Strategy } from '../hardware/index.js';

/** As src/hardware has it, which is too much to load for a summary. */
const DEFAULT_CONTEXT = 4096;

export default class Advise extends BaseCommand<typeof Advise> {
  static override readonly summary =
    'say how a model is best stored for a machine: size, memory and speed of each way, predicted';
  static override readonly description =
    'Reads shapes alone. Of the ways to store the weights that the engine of that hardware loads, it takes the one that keeps most bits within the limits. Memory and tokens a second come from a roofline (docs/hardware.md says how far off it was). This machine is measured once, and remembered with the choice. Exit code 4 when nothing keeps to the limits.';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder or file' }),
  };
  static override readonly flags = {
    for: Flags.option({ options: HARDWARE })({
      summary: 'Hardware and engine; auto is this machine.',
      default: 'auto',
      env: envOf('for'),
    }),
    memory: bytes({ summary: 'At most so much memory for weights, cache and work.', env: envOf('memory') }),
    size: bytes({ summary: "At most so many bytes of weights' files.", env: envOf('size') }),
    'tokens-per-second': amount({
      summary: 'At least so many tokens a second, all sequences together.',
      env: envOf('tokens-per-second'),
    }),
    context: count({
      summary: `Tokens in the cache of each sequence; ${DEFAULT_CONTEXT} by default, or what the model was made for.`,
      env: envOf('context'),
    }),
    batch: count({
      summary: 'Sequences side by side; what is usual on that hardware by default.',
      env: envOf('batch'),
    }),
    fresh: Flags.boolean({ summary: 'Measure this machine and choose anew.', env: envOf('fresh') }),
  };
  static override readonly examples = [
    { description: 'For this machine', command: '<%= config.bin %> advise models/fledgling' },
    {
      description: 'For a laptop, with a limit of memory and of speed',
      command: '<%= config.bin %> advise models/fledgling --for laptop-8gb --memory 2GB --tokens-per-second 20 --json',
    },
  ];

  async run(): Promise<Advice> {
    const { adviseFor } = await import('../hardware/index.js');
    const { openModel } = await import('../model/index.js');
    const { shellWord } = await import('../checkpoint/index.js');
    const model = await openModel(this.args.model);
    try {
      const { for: hardware, context, batch, fresh } = this.flags;
      const advised = await adviseFor(model, { hardware, limits: this.#limits(), context, batch, fresh });
      const advice = this.#advice(advised, shellWord(this.args.model));
      this.log(renderAdvice(advice));
      if (advised.choice.chosen === undefined) process.exitCode = EXIT_CODES['gate-failed'];
      return advice;
    } finally {
      await model.checkpoint.close();
    }
  }

  #limits() {
    const { memory, size, 'tokens-per-second': speed } = this.flags;
    return {
      ...(memory !== undefined && { memoryBytes: memory }),
      ...(size !== undefined && { sizeBytes: size }),
      ...(speed !== undefined && { tokensPerSecond: speed }),
    };
  }

  #advice({ choice, profile, situation, remembered }: Advised, model: string): Advice {
    const chosen = choice.chosen?.strategy;
    const { name, description, source } = profile;
    return {
      model: this.args.model,
      hardware: { name, description, source },
      ...situation,
      candidates: choice.candidates.map(({ strategy, prediction, against }) => ({
        strategy: strategy.name,
        ...prediction,
        against,
      })),
      ...(chosen && { chosen: chosen.name, command: commandFor(model, chosen) }),
      reason: choice.reason,
      remembered,
      ...(choice.shed !== undefined && { shed: choice.shed }),
    };
  }
}

/** What to type for a strategy; one that keeps sixteen bits is only another file. */
function commandFor(model: string, { name, step }: Strategy): string {
  const base = path.basename(path.resolve(model)).replace(/\.(gguf|safetensors)$/, '');
  const out = path.join('out', step.format === 'gguf' ? `${base}-${name}.gguf` : `${base}-${name}`);
  if (step.scheme === 'fp16' || step.scheme === 'bf16') {
    return `birdbone convert ${model} --out ${out} --dtype ${step.scheme === 'fp16' ? 'f16' : 'bf16'}`;
  }
  // The gate wants a text in any case, and measures on what calibration leaves of it.
  const text = step.algorithm === undefined ? '--data TEXT' : `--algorithm ${step.algorithm} --calibration TEXT`;
  const groups = step.groupSize === undefined ? '' : ` --group-size ${step.groupSize}`;
  return `birdbone quantize ${model} --out ${out} --scheme ${step.scheme}${groups} --format ${step.format} ${text}`;
}
